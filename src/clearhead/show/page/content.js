// What a page is given, and how its numbers are unpacked: late, and only those that are looked at.

/**
 * @typedef {import("./node.js").Node_} Node_
 *
 * @typedef {object} Claimed
 * @property {number[]} cell
 * @property {string} written
 * @property {number} tolerance how far it may be off: half a unit of its last digit, and its slack
 * @property {boolean} exact whether it was written as a fraction
 * @property {boolean} agrees
 *
 * @typedef {object} Made how a line comes about
 * @property {string} summary
 * @property {string} formula MathML
 * @property {string[]} roles
 * @property {number[]} core how many axes the formula speaks of, for each operand
 * @property {string[]} result
 * @property {Node_} body
 * @property {Record<string, number> | null} sizes null where they are not known
 *
 * @typedef {object} LineData
 * @property {string} name
 * @property {string[]} axes
 * @property {number[]} shape empty where it is not known
 * @property {number | null} head the axis that @ selects from
 * @property {boolean[]} named which axes run over the tokens
 * @property {string | null} symbol the letter that formulas have for it, in MathML
 * @property {boolean} shares
 * @property {null | "blank" | "large" | "unkept"} absent why the page has no numbers of it
 * @property {boolean} changed whether a deviation made this line
 * @property {string[]} operands
 * @property {boolean[]} reads whether the numbers of each operand are read, and not only its sizes
 * @property {Made | null} made null for what is given
 * @property {Claimed[]} claims
 * @property {string[]} notes
 *
 * @typedef {{kind: "f4" | "f8" | "u1", deflated?: string}} ArrayKind
 *
 * @typedef {object} Content
 * @property {string} title
 * @property {string[]} about
 * @property {number} first
 * @property {number | null} decimals
 * @property {string[] | null} tokens
 * @property {{name: string, does: string, unseen: string, remedy: string}[]} deviations
 * @property {{token: string, probability: number}[]} next what a model expects to come next
 * @property {string | null} problem the file of the problem, for pages that are saved as one
 * @property {LineData[]} lines
 * @property {string | null} diagnosis
 * @property {Record<string, ArrayKind>} arrays
 *
 * @typedef {Float32Array | Float64Array | Uint8Array} Numbers
 * @typedef {(line: string) => string} Source the packed numbers of a line, base64
 */

const KINDS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array };

/**
 * The bytes of what was packed.
 * @param {ArrayKind} about
 * @param {string} data
 */
async function bytesOf({ deflated }, data) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < bytes.length; n += 1) bytes[n] = text.charCodeAt(n);
  if (!deflated) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The numbers of an array that was packed.
 * @param {ArrayKind} about
 * @param {string} data
 * @returns {Promise<Numbers>}
 */
export async function unpack(about, data) {
  const bytes = await bytesOf(about, data);
  const Kind = KINDS[about.kind];
  if (!about.deflated) return new Kind(bytes.buffer);
  const size = Kind.BYTES_PER_ELEMENT;
  const count = bytes.length / size;
  const whole = new Uint8Array(bytes.length);
  for (let plane = 0; plane < size; plane += 1) {
    for (let n = 0; n < count; n += 1) whole[n * size + plane] = bytes[plane * count + n] ?? 0;
  }
  return new Kind(whole.buffer);
}
