// A trace in the browser: its numbers by name, and what made each cell.

import { bytesOf, unpack } from "./content.js";
import { substitute } from "./expr.js";
import { number } from "./number.js";
import { corrected, predict } from "./predict.js";
import { fragments, plain } from "./text.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./content.js").Source} Source
 * @typedef {import("./node.js").Node_} Node_
 * @typedef {import("./expr.js").Scope} Scope
 * @typedef {import("./text.js").Fragment} Fragment
 * @typedef {{line: string, cell: number[]}} Place
 * @typedef {[string, Node_, number]} Side what is made, the arithmetic of it, what it comes to
 * @typedef {{rows: Fragment[][], reads: Place[]}} Explanation each row of the arithmetic, and the cells it reads
 */

/** Sums of more terms than this show only their largest. */
const MAX_TERMS = 6;

export class Trace {
  /**
   * @param {Content} content
   * @param {Source} source
   */
  constructor(content, source) {
    this.content = content;
    this.source = source;
    /** @type {Map<string, LineData>} */
    this.lines = new Map(content.lines.map((line) => [line.name, line]));
    /** @type {Map<string, Numbers>} */
    this.arrays = new Map();
    /** @type {Map<string, Promise<void>>} */
    this.loading = new Map();
  }

  /**
   * A line by its full name.
   * @param {string} name
   */
  line(name) {
    const found = this.lines.get(name);
    if (!found) throw new Error(`no line ${name}`);
    return found;
  }

  /**
   * Unpacks the numbers of lines, and of their operands, so that all else can be asked at once.
   * @param {...string} names
   */
  async ready(...names) {
    const wanted = new Set(names.flatMap((name) => [name, ...this.line(name).operands]));
    await Promise.all([...wanted].filter((each) => this.lines.has(each)).map((each) => this.load(each)));
  }

  /**
   * Whether a line and its operands are unpacked, as far as there are numbers of them.
   * @param {string} name
   */
  isReady(name) {
    return [name, ...this.line(name).operands].every((each) => this.arrays.has(each) || !this.content.arrays[each]);
  }

  /**
   * Unpacks the numbers of a line, once.
   * @param {string} name
   * @returns {Promise<void>}
   */
  load(name) {
    const about = this.content.arrays[name];
    let loading = this.loading.get(name);
    if (!loading) {
      const whole = !about ? Promise.resolve(null) : about.predicted ? this.predict(name) : unpack(about, this.source(name));
      loading = whole.then((numbers) => void (numbers && this.arrays.set(name, numbers)));
      this.loading.set(name, loading);
    }
    return loading;
  }

  /**
   * The numbers of a line of which the file has only how they differ from what the formula gives.
   * @param {string} name
   */
  async predict(name) {
    const { shape, made, operands } = this.line(name);
    const about = this.content.arrays[name];
    await Promise.all(operands.map((each) => this.load(each)));
    if (!made?.sizes || !about || about.kind === "u1") throw new Error(`${name} cannot be predicted`);
    const { body, result, sizes } = made;
    const out = new Float64Array(shape.reduce((a, b) => a * b, 1));
    const leads = shape.slice(0, shape.length - result.length);
    const count = leads.reduce((a, b) => a * b, 1);
    const size = out.length / count;
    const precise = operands.map((each) => new Float64Array(this.numbers(each) ?? []));
    for (let lead = 0; lead < count; lead += 1) {
      await pause();
      predict(body, result, sizes, this.operandsAt(name, unflat(lead, leads), precise), out.subarray(lead * size, (lead + 1) * size));
    }
    return corrected(out, await bytesOf(about, this.source(name)), about.kind);
  }

  /**
   * The operands of a line, where the leading indices of its result point.
   * @param {string} name
   * @param {number[]} lead
   * @param {Float64Array[]} precise the numbers of each operand
   */
  operandsAt(name, lead, precise) {
    const { made, operands } = this.line(name);
    return Object.fromEntries(operands.map((operand, n) => {
      const { shape } = this.line(operand);
      const core = made?.core[n] ?? 0;
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
      const offset = leadOf(lead, shape, core).reduce((sum, index, axis) => sum + index * (strides[axis] ?? 0), 0);
      const numbers = precise[n] ?? new Float64Array();
      return [made?.roles[n] ?? "", { numbers, offset, strides: strides.slice(shape.length - core) }];
    }));
  }

  /**
   * The numbers of a line; undefined where it is left blank, was not kept, or is not unpacked yet.
   * @param {string} name
   */
  numbers(name) {
    return this.arrays.get(name);
  }

  /**
   * @param {string} name
   * @param {number[]} cell
   */
  value(name, cell) {
    return this.numbers(name)?.[flat(cell, this.line(name).shape)] ?? NaN;
  }

  /**
   * What is written beside each index of an axis.
   * @param {string} name
   * @param {number} axis
   * @param {number} index
   */
  label(name, axis, index) {
    const { first, tokens } = this.content;
    return (this.line(name).named[axis] && tokens?.[index]) || String(index + first);
  }

  /**
   * The cell's own name, counted as the trace counts: head@2[1,1].
   * @param {string} name
   * @param {number[]} cell
   */
  cellName(name, cell) {
    const { head } = this.line(name);
    const { first } = this.content;
    const rest = cell.filter((_, axis) => axis !== head).map((index) => index + first);
    return `${name}${head === null ? "" : `@${(cell[head] ?? 0) + first}`}${rest.length ? `[${rest.join(",")}]` : ""}`;
  }

  /**
   * Whether the arithmetic of a line's cells can be told: all that it takes is here.
   * @param {string} name
   */
  explains(name) {
    const { made, operands } = this.line(name);
    return [name, ...operands].every((each) => this.numbers(each)) && (!made || made.sizes !== null);
  }

  /**
   * One cell, down to its arithmetic, as Python's `Trace.explain` has it.
   * @param {string} name
   * @param {number[]} cell
   * @param {number | null} [decimals]
   * @returns {Explanation}
   */
  explain(name, cell, decimals = this.content.decimals) {
    const value = this.value(name, cell);
    const target = this.cellName(name, cell);
    const { made } = this.line(name);
    if (!made) return { rows: [[`${target} = ${number(value, decimals)}`]], reads: [] };
    const { filled, steps } = this.workOut(name, cell);
    /** @type {Side[]} */
    const sides = [...steps.map((step) => /** @type {Side} */ ([step.name, step.filled, step.value])), [target, filled, value]];
    const rows = sides.map((side) => equal(side, decimals));
    return { rows, reads: distinct([filled, ...steps.map((step) => step.filled)].flatMap(refs)) };
  }

  /**
   * @param {string} name
   * @param {number[]} cell
   */
  workOut(name, cell) {
    const { made, operands } = this.line(name);
    if (!made?.sizes) throw new Error(`${name} cannot be explained: an operand was not kept`);
    const { roles, core, result, body, sizes } = made;
    const lead = cell.slice(0, cell.length - result.length);
    const leads = operands.map((operand, n) => leadOf(lead, this.line(operand).shape, core[n] ?? 0));
    /** @type {Scope} */
    const scope = {
      read: (role, inner) => {
        const n = roles.indexOf(role);
        return this.value(operands[n] ?? "", [...(leads[n] ?? []), ...inner]);
      },
      sizes,
      indices: Object.fromEntries(result.map((letter, n) => [letter, cell[lead.length + n] ?? 0])),
      locals: {},
    };
    const { filled, steps } = substitute(body, scope, MAX_TERMS);
    /** @type {(node: Node_) => Node_} */
    const placed = (node) => place(node, (role, inner) => {
      const n = roles.indexOf(role);
      return [operands[n] ?? "", [...(leads[n] ?? []), ...inner]];
    });
    return { filled: placed(filled), steps: steps.map((step) => ({ ...step, filled: placed(step.filled) })) };
  }

  /**
   * The lines that are made from this one.
   * @param {string} name
   */
  users(name) {
    return this.content.lines.filter((line) => line.operands.includes(name)).map((line) => line.name);
  }
}

/**
 * @param {Side} side
 * @param {number | null} decimals
 * @returns {Fragment[]}
 */
function equal([name, filled, value], decimals) {
  const written = fragments(filled, decimals);
  const last = number(value, decimals);
  return plain(written) === last ? [`${name} = `, ...written] : [`${name} = `, ...written, ` = ${last}`];
}

/** Lets the page draw and listen before work goes on. */
function pause() {
  return new Promise((go) => setTimeout(go, 0));
}

/**
 * The leading indices of an operand for those of the result: aligned at the right, 0 where it broadcasts.
 * @param {number[]} indices
 * @param {number[]} shape
 * @param {number} core
 */
function leadOf(indices, shape, core) {
  const sizes = shape.slice(0, shape.length - core);
  const mine = [...sizes.map(() => 0), ...indices].slice(indices.length);
  return mine.map((index, n) => Math.min(index, (sizes[n] ?? 1) - 1));
}

/**
 * A filled expression whose references name lines and their full cells.
 * @param {Node_} node
 * @param {(role: string, cell: number[]) => [string, number[]]} find
 * @returns {Node_}
 */
function place(node, find) {
  /** @param {Node_} each */
  const inner = (each) => place(each, find);
  switch (node[0]) {
    case "Ref": {
      const [line, cell] = find(node[1], node[2].map((each) => Number(each[1])));
      return ["Ref", line, cell.map((index) => ["Number", index]), null, node[4]];
    }
    case "Call":
      return ["Call", node[1], node[2].map(inner)];
    case "Binary":
      return ["Binary", node[1], inner(node[2]), inner(node[3])];
    case "Terms":
      return ["Terms", node[1], node[2].map(inner), node[3], node[4]];
    default:
      return node;
  }
}

/**
 * The cells that a filled expression reads.
 * @param {Node_} node
 * @returns {Place[]}
 */
function refs(node) {
  switch (node[0]) {
    case "Ref":
      return [{ line: node[1], cell: node[2].map((each) => Number(each[1])) }];
    case "Call":
    case "Terms":
      return node[2].flatMap(refs);
    case "Binary":
      return [...refs(node[2]), ...refs(node[3])];
    default:
      return [];
  }
}

/**
 * @param {Place[]} places
 * @returns {Place[]}
 */
function distinct(places) {
  return [...new Map(places.map((each) => [`${each.line}[${each.cell}]`, each])).values()];
}

/**
 * Where a cell stands in the numbers of its line.
 * @param {number[]} cell
 * @param {number[]} shape
 */
export function flat(cell, shape) {
  return cell.reduce((at, index, axis) => at * (shape[axis] ?? 1) + index, 0);
}

/**
 * A cell from where it stands.
 * @param {number} at
 * @param {number[]} shape
 */
export function unflat(at, shape) {
  const cell = shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    const size = shape[axis] ?? 1;
    cell[axis] = at % size;
    at = Math.floor(at / size);
  }
  return cell;
}

/**
 * A line as matrices: how many, of how many rows and columns.
 * @param {LineData} line
 */
export function layout({ shape }) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.at(-2) ?? 1;
  const leads = shape.slice(0, -2);
  return { leads, count: leads.reduce((a, b) => a * b, 1), rows, columns };
}

/**
 * The full cell of a line for a matrix of it, a row and a column.
 * @param {LineData} line
 * @param {number} matrix
 * @param {number} row
 * @param {number} column
 */
export function fullCell(line, matrix, row, column) {
  const all = [...unflat(matrix, layout(line).leads), row, column];
  return all.slice(all.length - line.shape.length);
}

/**
 * The matrix, row and column that a full cell stands in.
 * @param {LineData} line
 * @param {number[]} cell
 */
export function inMatrix(line, cell) {
  const padded = [0, 0, ...cell].slice(-Math.max(2, cell.length));
  return { matrix: flat(cell.slice(0, -2), layout(line).leads), row: padded.at(-2) ?? 0, column: padded.at(-1) ?? 0 };
}
