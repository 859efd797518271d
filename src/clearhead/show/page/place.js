// Where the cards of the flow stand: in columns by how many steps a line is away from what is given, in bands below
// each other where there is no room for all columns in one.

import { STEP } from "./wires.js";

/**
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./wires.js").Box} Box
 *
 * A wire: the numbers of one line go into another, directly or through lines that are not shown.
 * @typedef {{source: string, target: string, direct: boolean}} Edge
 *
 * @typedef {{text: string, box: Box}} Title the name that some cards have in common
 * @typedef {{boxes: Map<string, Box>, titles: Title[], short: Map<string, string>, width: number, height: number}} Placed
 */

const TOKENS = new Set(["token", "query", "key", "past"]);

/** Sizes in pixels, multiples of a step so that wires can be led between cards. */
const WIDTH = { least: 72, most: 108 };
const HEIGHT = { least: 48, most: 78 };
const GAP = { across: 12, most: 42, down: 18, bands: 30 };
const EDGE = 18;
const TITLE = { height: 18, letter: 6.6 };

/** In a narrower place the cards stand in one row, which scrolls. */
const NARROW = 560;

/**
 * Whether a line has a card: what was kept, and what is left to be filled in.
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
 * The weights, biases and gains that only one line reads, and that line: they have no place of their own in the flow.
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
    if (!made && only && users.length === 1 && !axes.some((word) => TOKENS.has(word))) folded.set(name, only.target);
  }
  return folded;
}

/**
 * The lines by how many steps they are away from what is given; what is given stands just before its first use.
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
 * The columns in bands: those of an MLP below the others, and of each no more than fit.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @param {number} fit how many columns fit side by side
 * @returns {LineData[][][]}
 */
function bandsOf(lines, edges, fit) {
  const below = lines.filter(({ name }) => /(^|\.)mlp\./.test(name));
  const parts = [lines.filter((line) => !below.includes(line)), below].filter((part) => part.length);
  return parts.flatMap((part) => {
    const columns = levels(part, edges);
    const size = Math.ceil(columns.length / Math.ceil(columns.length / fit));
    return Array.from({ length: Math.ceil(columns.length / size) }, (_, n) => columns.slice(n * size, (n + 1) * size));
  });
}

/**
 * Places cards in a room of some width, as high as they may be.
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
  const free = room.height - 2 * EDGE - titled - (bands.length - 1) * GAP.bands - rows.reduce((sum, each) => sum + (each - 1) * GAP.down, 0);
  const h = snap(within(free / rows.reduce((a, b) => a + b), HEIGHT));
  const w = room.width < NARROW ? WIDTH.most - 2 * STEP : snap(within((room.width - 2 * EDGE - (columns - 1) * GAP.across) / columns, WIDTH));
  const gap = snap(Math.min(Math.max((room.width - 2 * EDGE - columns * w) / Math.max(columns - 1, 1), GAP.across), GAP.most));
  /** @type {Placed} */
  const placed = { boxes: new Map(), titles: [], short: new Map(), width: 2 * EDGE + columns * (w + gap) - gap, height: 0 };
  let top = EDGE + titled;
  bands.forEach((band, n) => {
    const high = (rows[n] ?? 1) * (h + GAP.down) - GAP.down;
    band.forEach((level, column) => {
      const first = top + (high - level.length * (h + GAP.down) + GAP.down) / 2;
      level.forEach(({ name }, row) => placed.boxes.set(name, { x: EDGE + column * (w + gap), y: snap(first + row * (h + GAP.down)), w, h }));
    });
    top += high + (n + 1 < bands.length ? GAP.bands : EDGE);
  });
  placed.height = top;
  for (const { path, names } of groups) entitle(placed, path, names);
  return placed;
}

/**
 * The paths that the names of neighbouring cards begin with: where all cards of some columns have one in common.
 * @param {LineData[][][]} bands
 */
function groupsOf(bands) {
  return bands.flatMap((band) => {
    const paths = new Set(band.flat().map(({ name }) => pathOf(name)).filter(Boolean));
    return [...paths].flatMap((path) => {
      const own = band.map((level) => level.some(({ name }) => pathOf(name) === path));
      const inside = band.slice(own.indexOf(true), own.lastIndexOf(true) + 1).flat();
      const isAlone = inside.length > 3 && inside.every(({ name }) => pathOf(name) === path);
      return isAlone ? [{ path, names: inside.map(({ name }) => name) }] : [];
    });
  });
}

/**
 * What a name begins with, up to its part of a block: "attention.", "layers.3.mlp."; "" where it has no path.
 * @param {string} name
 */
function pathOf(name) {
  return /^(?:.*\.)?layers\.\d+\.(?:[^.]+\.(?=.))?|^[^.]+\./.exec(name)?.[0] ?? "";
}

/**
 * Writes what some names have in common above their cards, and leaves it out of the cards.
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
