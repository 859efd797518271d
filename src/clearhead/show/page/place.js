// The positions of cards in the flow: in columns by a line's distance from the given arrays, in bands below
// each other where the columns do not fit into one.

import { STEP } from "./wires.js";

/**
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./wires.js").Box} Box
 *
 * A wire: one line reads another, directly or through lines that are not shown.
 * @typedef {{source: string, target: string, direct: boolean}} Edge
 *
 * @typedef {{text: string, box: Box}} Title the name that some cards have in common
 * @typedef {{boxes: Map<string, Box>, titles: Title[], short: Map<string, string>, width: number, height: number}} Placed
 */

const TOKENS = new Set(["token", "query", "key", "past"]);

/** Sizes in pixels, multiples of a step so that wires can be routed between cards. */
const WIDTH = { least: 72, most: 108 };
const HEIGHT = { least: 48, most: 78 };
const GAP = { across: 12, usual: 18, most: 42, down: 18, least: 12, bands: 30 };
const EDGE = 18;
const TITLE = { height: 18, letter: 6.6 };

/** What is left out of the name of one share of a gradient: the arrow from it leads to the whole gradient. */
const SHARE = /^.*\.grad\.(?=through_)/;

/** In less width the cards are in one row, which scrolls. */
const NARROW = 560;

/**
 * Whether a line has a card: lines that were kept, and blank ones.
 * @param {LineData} line
 */
export function isShown({ absent }) {
  return absent !== "unkept";
}

/**
 * The wires between shown lines. An operand of which only a size is read has none.
 * @param {Trace} trace
 * @param {Set<string>} shown
 * @returns {Edge[]}
 */
export function edgesOf(trace, shown) {
  /** @type {Map<string, Set<string>>} */
  const behind = new Map();
  /** @type {Edge[]} */
  const edges = [];
  for (const { name } of trace.content.lines) {
    const inputs = trace.inputs(name);
    const hidden = inputs.filter((each) => !shown.has(each)).flatMap((each) => [...(behind.get(each) ?? [])]);
    const direct = new Set(inputs.filter((each) => shown.has(each)));
    if (!shown.has(name)) behind.set(name, new Set([...direct, ...hidden]));
    else {
      for (const source of direct) edges.push({ source, target: name, direct: true });
      for (const source of new Set(hidden)) if (!direct.has(source)) edges.push({ source, target: name, direct: false });
    }
  }
  return edges;
}

/**
 * The weights, biases and gains that only one line reads, and that line: they have no card. Nor have lines of zeros.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @returns {Map<string, string>}
 */
export function foldedOf(lines, edges) {
  /** @type {Map<string, string>} */
  const folded = new Map();
  for (const { name, made, axes } of lines) {
    const users = edges.filter(({ source }) => source === name);
    const [only] = users;
    if ((!made || isNothing(made)) && only && users.length === 1 && !axes.some((word) => TOKENS.has(word))) folded.set(name, only.target);
  }
  return folded;
}

/**
 * The gradients for weights, biases and gains that nothing reads here, and the line that each is computed from: they
 * have no card either, like the weights themselves.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @returns {Map<string, string>}
 */
export function foldedResults(lines, edges) {
  /** @type {Map<string, string>} */
  const folded = new Map();
  for (const { name, axes } of lines) {
    const [only, ...others] = edges.filter(({ target }) => target === name);
    const isLast = edges.every(({ source }) => source !== name);
    if (name.endsWith(".grad") && only && !others.length && isLast && !axes.some((word) => TOKENS.has(word))) folded.set(name, only.source);
  }
  return folded;
}

/**
 * Whether a line is 0 throughout, whatever is given.
 * @param {import("./content.js").Made} made
 */
function isNothing({ body }) {
  return body[0] === "Number" && body[1] === 0;
}

/**
 * What lines read of shown lines that are not among them.
 * @param {Trace} trace
 * @param {LineData[]} lines
 */
export function borrowedBy(trace, lines) {
  const own = new Set(lines.map(({ name }) => name));
  const stages = new Set(lines.map(({ stage }) => stage));
  return lines.flatMap(({ name }) =>
    trace.inputs(name).filter((each) => isShown(trace.line(each)) && !own.has(each) && !stages.has(trace.line(each).stage)).map((source) => ({ source, target: name })),
  );
}

/**
 * The lines by their distance from the given arrays; a given array comes just before its first use.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @returns {LineData[][]}
 */
export function levels(lines, edges) {
  /** @type {Map<string, number>} */
  const level = new Map();
  const sources = new Map(lines.map(({ name }) => [name, edges.filter(({ target }) => target === name).map(({ source }) => source)]));
  for (const { name, made } of lines) {
    if (made) level.set(name, Math.max(0, ...(sources.get(name) ?? []).map((each) => (level.get(each) ?? 0) + 1)));
  }
  for (const { name, made } of lines) {
    if (made) continue;
    const users = edges.filter(({ source }) => source === name).map(({ target }) => (level.get(target) ?? 1) - 1);
    level.set(name, users.length ? Math.min(...users) : 0);
  }
  /** @type {LineData[][]} */
  const columns = [];
  for (const line of lines) (columns[level.get(line.name) ?? 0] ??= []).push(line);
  return columns.filter(Boolean);
}

/**
 * The columns in bands: the halves of a block below each other, and no more columns in a band than fit.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @param {number} fit how many columns fit side by side
 * @returns {LineData[][][]}
 */
function bandsOf(lines, edges, fit) {
  /** @type {LineData[][][]} */
  const bands = [];
  for (const half of halvesOf(lines, edges)) {
    /** @type {LineData[][]} */
    let open = [];
    for (const part of connected(half, edges)) {
      const columns = levels(part, edges);
      if (open.length && open.length + columns.length > fit) {
        bands.push(open);
        open = [];
      }
      const size = Math.ceil(columns.length / Math.ceil(columns.length / fit));
      for (; columns.length > size; columns.splice(0, size)) bands.push(columns.slice(0, size));
      open = [...open, ...columns];
    }
    if (open.length) bands.push(open);
  }
  return bands;
}

/**
 * The lines of an MLP and the others, in the order of the lines. What has no path is where the line before it is; what
 * is given is where it is read.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 */
function halvesOf(lines, edges) {
  const made = lines.filter((line) => line.made).map(({ name }) => name);
  const first = made.map(halfOf).find(Boolean) ?? "rest";
  /** @type {Map<string, string>} */
  const halves = new Map();
  for (const [n, name] of made.entries()) halves.set(name, halfOf(name) ?? halves.get(made[n - 1] ?? "") ?? first);
  for (const { name } of lines) if (!halves.has(name)) halves.set(name, halves.get(edges.find(({ source }) => source === name)?.target ?? "") ?? first);
  return [...new Set(made.map((name) => halves.get(name)))].map((half) => lines.filter(({ name }) => halves.get(name) === half));
}

/** @param {string} name */
function halfOf(name) {
  if (/(^|\.)mlp\./.test(name)) return "mlp";
  return pathOf(name) && !/^(?:step\d+\.)?loss\./.test(name) ? "rest" : undefined;
}

/**
 * The lines in parts that no wire connects, in the order of their first lines.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 */
function connected(lines, edges) {
  /** @type {Map<string, string>} */
  const up = new Map(lines.map(({ name }) => [name, name]));
  /** @type {(name: string) => string} */
  const root = (name) => {
    const next = up.get(name) ?? name;
    return next === name ? name : root(next);
  };
  for (const { source, target } of edges) if (up.has(source) && up.has(target)) up.set(root(source), root(target));
  return [...new Set(lines.map(({ name }) => root(name)))].map((part) => lines.filter(({ name }) => root(name) === part));
}

/**
 * Places cards in a space of this width, up to this height.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @param {{width: number, height: number}} room
 * @returns {Placed}
 */
export function place(lines, edges, room) {
  const fit = room.width < NARROW ? lines.length : Math.floor((room.width - 2 * EDGE + GAP.across) / (WIDTH.least + GAP.across));
  const bands = room.width < NARROW ? [levels(lines, edges).flat().map((line) => [line])] : bandsOf(lines, edges, fit);
  const columns = Math.max(...bands.map((band) => band.length));
  const rows = bands.map((band) => Math.max(...band.map((level) => level.length)));
  const groups = groupsOf(bands);
  const titled = groups.length ? TITLE.height : 0;
  const all = rows.reduce((a, b) => a + b);
  /** @param {number} down */
  const share = (down) => (room.height - 2 * EDGE - titled - (bands.length - 1) * GAP.bands - (all - rows.length) * down) / all;
  const down = share(GAP.down) < HEIGHT.least ? GAP.least : GAP.down;
  const h = snap(within(share(down), HEIGHT));
  /** @param {number} across */
  const wide = (across) => (room.width - 2 * EDGE - (columns - 1) * across) / columns;
  const across = wide(GAP.usual) < WIDTH.least ? GAP.across : GAP.usual;
  const w = room.width < NARROW ? WIDTH.most - 2 * STEP : snap(within(wide(across), WIDTH));
  const gap = snap(Math.min(Math.max((room.width - 2 * EDGE - columns * w) / Math.max(columns - 1, 1), across), GAP.most));
  /** @type {Placed} */
  const placed = { boxes: new Map(), titles: [], short: new Map(), width: 2 * EDGE + columns * (w + gap) - gap, height: 0 };
  let top = EDGE + titled;
  bands.forEach((band, n) => {
    const high = (rows[n] ?? 1) * (h + down) - down;
    band.forEach((level, column) => {
      const first = top + (high - level.length * (h + down) + down) / 2;
      level.forEach(({ name }, row) => placed.boxes.set(name, { x: EDGE + column * (w + gap), y: snap(first + row * (h + down)), w, h }));
    });
    top += high + (n + 1 < bands.length ? GAP.bands : EDGE);
  });
  placed.height = top;
  for (const { path, names } of groups) entitle(placed, path, names);
  for (const { name } of lines) if (SHARE.test(name)) placed.short.set(name, name.replace(SHARE, ""));
  return placed;
}

/**
 * The common paths of neighbouring cards' names: where all cards of some columns have one.
 * @param {LineData[][][]} bands
 */
function groupsOf(bands) {
  return bands.flatMap((band) => {
    const paths = new Set(band.flat().map(({ name }) => pathOf(name)).filter(Boolean));
    return [...paths].flatMap((path) => {
      const own = band.map((level) => level.some(({ name }) => pathOf(name) === path));
      const inside = band.slice(own.indexOf(true), own.lastIndexOf(true) + 1).flat();
      const isAlone = inside.length > 3 && inside.every(({ name }) => pathOf(name) === path);
      const names = inside.map(({ name }) => name);
      return isAlone ? [{ path: common(names), names }] : [];
    });
  });
}

/**
 * The path of a name, up to its part of a block: "attention.", "layers.3.mlp.", "step2.mlp."; "" where it has none.
 * @param {string} name
 */
function pathOf(name) {
  return /^(?:.*\.)?layers\.\d+\.(?:[^.]+\.(?=.))?|^(?:step\d+\.)?[^.]+\.(?!grad$)/.exec(name)?.[0] ?? "";
}

/**
 * The longest path that names have in common.
 * @param {string[]} names
 */
function common(names) {
  const [first = ""] = names;
  const paths = [...first.matchAll(/\./g)].map(({ index }) => first.slice(0, index + 1));
  return paths.filter((path) => names.every((name) => name.startsWith(path))).at(-1) ?? "";
}

/**
 * Writes the common path of some names above their cards, and leaves it out of the cards.
 * @param {Placed} placed
 * @param {string} path
 * @param {string[]} names
 */
function entitle(placed, path, names) {
  const boxes = names.flatMap((name) => placed.boxes.get(name) ?? []);
  const [x, y] = [Math.min(...boxes.map((each) => each.x)), Math.min(...boxes.map((each) => each.y))];
  const text = path.slice(0, -1);
  placed.titles.push({ text, box: { x, y: y - TITLE.height, w: Math.ceil(text.length * TITLE.letter), h: TITLE.height - STEP } });
  for (const name of names) placed.short.set(name, name.slice(path.length));
}

/** @param {number} length */
function snap(length) {
  return Math.floor(length / STEP) * STEP;
}

/**
 * @param {number} length
 * @param {{least: number, most: number}} limits
 */
function within(length, { least, most }) {
  return Math.min(Math.max(length, least), most);
}
