// A page in a notebook: in a frame that shares nothing with the notebook, from which each change comes as a message.

/**
 * What the notebook keeps of a widget, here and in Python.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, heard: () => void) => void} on
 * @property {(event: string, heard: () => void) => void} off
 */

/** @param {{model: Model, el: HTMLElement}} place */
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "A problem of clearhead";
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  const draw = () => {
    frame.style.cssText = `width: 100%; height: ${model.get("height")}px; border: 0; resize: vertical; overflow: auto`;
    if (frame.srcdoc !== model.get("page")) frame.srcdoc = model.get("page");
  };
  /** @param {MessageEvent} event */
  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow || typeof data?.clearhead !== "string") return;
    model.set("text", data.clearhead);
    model.save_changes();
  };
  draw();
  el.append(frame);
  window.addEventListener("message", hear);
  for (const name of ["change:page", "change:height"]) model.on(name, draw);
  return () => {
    window.removeEventListener("message", hear);
    for (const name of ["change:page", "change:height"]) model.off(name, draw);
  };
}

export default { render };
