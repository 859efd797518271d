// A trace in the browser: its numbers by name, and how those that are not in the file are computed.

import { flat, leadOf, unflat } from "./cells.js";
import { unpack } from "./content.js";
import { compiled, evaluate, readsOf } from "./expr.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Made} Made
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./content.js").Source} Source
 * @typedef {import("./expr.js").Scope} Scope
 * @typedef {{line: string, cell: number[]}} Place
 * @typedef {{rows: number, columns: number, numbers: Float64Array}} Picture
 */

/** A cell that takes more numbers than this is not computed here. */
const MAX_READS = 300_000;

/** The role of the result in a formula whose cells read other cells of it. */
export const OWN = "result";

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
    /** @type {Map<string, number>} */
    this.costs = new Map();
    /** @type {Map<string, number>} */
    this.computed = new Map();
    /** @type {Map<string, Picture>} */
    this.pictures = new Map();
    /** @type {Map<string, Numbers> | null} the numbers before something was typed */
    this.before = null;
    /** @type {Trace | null} the trace without the deviation that is tried, to stand beside this one */
    this.past = null;
  }

  /**
   * Replaces the lines, and keeps the numbers.
   * @param {LineData[]} lines
   */
  take(lines) {
    this.content = { ...this.content, lines };
    this.lines = new Map(lines.map((line) => [line.name, line]));
    this.computed.clear();
  }

  /**
   * Takes the numbers of a line that the page has computed as if they stood in its file.
   * @param {string} name
   * @param {Numbers} numbers
   */
  put(name, numbers) {
    this.arrays.set(name, numbers);
    if (this.content.arrays[name]) return;
    /** @type {import("./content.js").ArrayKind} */
    const about = { kind: "f8" };
    this.content = { ...this.content, arrays: { ...this.content.arrays, [name]: about } };
    this.costs.clear();
    this.loading.set(name, Promise.resolve());
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
   * Unpacks the numbers of lines and those that their arithmetic reads. Everything else then needs no waiting.
   * @param {...string} names
   */
  async ready(...names) {
    const wanted = names.flatMap((name) => [name, ...this.sources(name)]);
    await Promise.all(wanted.map((each) => this.load(each)));
  }

  /**
   * Whether a line and all that its arithmetic reads are unpacked.
   * @param {string} name
   */
  isReady(name) {
    return [name, ...this.sources(name)].every((each) => this.arrays.has(each) || !this.content.arrays[each]);
  }

  /**
   * The lines with numbers in the file from which a line is computed, directly or through lines without numbers.
   * @param {string} name
   * @returns {string[]}
   */
  sources(name) {
    return this.inputs(name).flatMap((each) =>
      this.content.arrays[each] ? [each] : this.cost(each) < Infinity ? this.sources(each) : [],
    );
  }

  /**
   * The operands whose numbers a line reads, not only their sizes.
   * @param {string} name
   */
  inputs(name) {
    const { operands, reads } = this.line(name);
    return operands.filter((_, n) => reads[n]);
  }

  /**
   * How many numbers of the file it takes to compute a cell of a line: infinitely many where the page cannot. Weights
   * are never computed here: the exponentials of a softmax, taken as the formula has them, may overflow.
   * @param {string} name
   * @returns {number}
   */
  cost(name) {
    if (this.content.arrays[name]) return 1;
    let cost = this.costs.get(name);
    if (cost === undefined) {
      const { made, absent, shares, operands } = this.line(name);
      const isOpen = made?.sizes && absent !== "blank" && !shares;
      cost = isOpen && made.sizes ? readsOf(made.body, made.sizes, (role) => role === OWN ? Infinity : this.cost(operands[made.roles.indexOf(role)] ?? "")) : Infinity;
      if (cost > MAX_READS) cost = Infinity;
      this.costs.set(name, cost);
    }
    return cost;
  }

  /**
   * Whether the page has the numbers of a line, or can compute them.
   * @param {string} name
   */
  knows(name) {
    return this.cost(name) < Infinity;
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
      loading = about
        ? unpack(about, this.source(name)).then((numbers) => void this.arrays.set(name, numbers))
        : Promise.resolve();
      this.loading.set(name, loading);
    }
    return loading;
  }

  /**
   * The numbers of a line; undefined where it is left blank, was not kept, or is not unpacked yet.
   * @param {string} name
   */
  numbers(name) {
    return this.arrays.get(name);
  }

  /**
   * The small picture of weights for which the page has no room; null for other lines.
   * @param {string} name
   * @returns {Picture | null}
   */
  picture(name) {
    const { picture } = this.line(name);
    if (!picture) return null;
    let found = this.pictures.get(name);
    if (!found) {
      const { rows, columns, data } = picture;
      this.pictures.set(name, (found = { rows, columns, numbers: Float64Array.from(atob(data), (each) => each.charCodeAt(0) / 255) }));
    }
    return found;
  }

  /**
   * @param {string} name
   * @param {number[]} cell
   */
  value(name, cell) {
    const numbers = this.numbers(name);
    if (numbers) return numbers[flat(cell, this.line(name).shape)] ?? NaN;
    return this.content.arrays[name] || !this.knows(name) ? NaN : this.compute(name, cell);
  }

  /**
   * A cell that is not in the file, computed from cells that are.
   * @param {string} name
   * @param {number[]} cell
   */
  compute(name, cell) {
    const key = `${name}[${cell}]`;
    let value = this.computed.get(key);
    if (value === undefined) {
      const { made } = this.line(name);
      value = made ? evaluate(made.body, this.scope(name, made, cell)) : NaN;
      this.computed.set(key, value);
    }
    return value;
  }

  /**
   * The label of each index of an axis.
   * @param {string} name
   * @param {number} axis
   * @param {number} index
   */
  label(name, axis, index) {
    const { first, tokens } = this.content;
    return tokens[this.line(name).named[axis] ?? -1]?.[index] ?? String(index + first);
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
   * Where the formula of a line finds its values for one cell.
   * @param {string} name
   * @param {Made} made
   * @param {number[]} cell
   * @returns {Scope}
   */
  scope(name, made, cell) {
    const lead = cell.slice(0, cell.length - made.result.length);
    const operands = this.line(name).operands.map((operand, n) => this.operand(operand, lead, made.core[n] ?? 0));
    const byRole = Object.fromEntries(made.roles.map((role, n) => [role, /** @type {import("./expr.js").Operand} */ (operands[n])]));
    return {
      operands: { ...byRole, [OWN]: this.operand(name, lead, made.result.length) },
      sizes: made.sizes ?? {},
      indices: Object.fromEntries(made.result.map((letter, n) => [letter, cell[lead.length + n] ?? 0])),
      locals: {},
      slow: new Set(),
      row: 0,
    };
  }

  /**
   * Where the cells of an operand are, for a formula over its last axes.
   * @param {string} name
   * @param {number[]} lead the leading indices of the result
   * @param {number} core how many axes the formula has
   * @returns {import("./expr.js").Operand}
   */
  operand(name, lead, core) {
    const { shape } = this.line(name);
    const first = leadOf(lead, shape, core);
    const inner = shape.slice(shape.length - core);
    const strides = inner.map((_, n) => inner.slice(n + 1).reduce((a, b) => a * b, 1));
    const base = flat(first, shape.slice(0, first.length)) * inner.reduce((a, b) => a * b, 1);
    return { numbers: this.numbers(name), base, strides, read: (cell) => this.value(name, [...first, ...cell]) };
  }

  /**
   * All numbers of a line, computed from its operands.
   * @param {string} name
   */
  run(name) {
    const { made, shape } = this.line(name);
    const count = shape.reduce((a, b) => a * b, 1);
    const result = new Float64Array(count);
    if (!made) return result;
    const core = shape.slice(shape.length - made.result.length);
    const size = core.reduce((a, b) => a * b, 1);
    const code = compiled(made.body);
    for (let start = 0; start < count; start += size) {
      const scope = { ...this.scope(name, made, unflat(start, shape)), slow: new Set(made.result.slice(0, -1)) };
      const own = /** @type {import("./expr.js").Operand} */ (scope.operands[OWN]);
      scope.operands = { ...scope.operands, [OWN]: { ...own, numbers: result } };
      for (let step = 0; step < size; step += 1) {
        const at = made.backwards ? size - 1 - step : step;
        let rest = at;
        scope.row = Math.floor(at / (core.at(-1) ?? 1));
        for (let axis = core.length - 1; axis >= 0; axis -= 1) {
          const length = core[axis] ?? 1;
          scope.indices[made.result[axis] ?? ""] = rest % length;
          rest = Math.floor(rest / length);
        }
        result[start + at] = code(scope);
      }
    }
    return result;
  }
}
