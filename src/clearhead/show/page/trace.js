// A trace in the browser: its numbers by name, and what made each cell.

import { flat, leadOf, unflat } from "./cells.js";
import { unpack } from "./content.js";
import { compiled, evaluate, readsOf, substitute } from "./expr.js";
import { number } from "./number.js";
import { fragments, plain } from "./text.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Made} Made
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

/** A cell that takes more numbers than this is not computed here. */
const MAX_READS = 300_000;

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
    /** @type {Map<string, Numbers> | null} the numbers before something was typed */
    this.before = null;
  }

  /**
   * Takes lines in the place of those it has, with the numbers that it has now.
   * @param {LineData[]} lines
   */
  take(lines) {
    this.content = { ...this.content, lines };
    this.lines = new Map(lines.map((line) => [line.name, line]));
    this.computed.clear();
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
   * Unpacks the numbers of lines, and those that their arithmetic takes, so that all else can be asked at once.
   * @param {...string} names
   */
  async ready(...names) {
    const wanted = names.flatMap((name) => [name, ...this.sources(name)]);
    await Promise.all(wanted.map((each) => this.load(each)));
  }

  /**
   * Whether a line and what its arithmetic takes are unpacked.
   * @param {string} name
   */
  isReady(name) {
    return [name, ...this.sources(name)].every((each) => this.arrays.has(each) || !this.content.arrays[each]);
  }

  /**
   * The lines with numbers in the file that the cells of a line are made of, directly or through lines without.
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
      cost = isOpen && made.sizes ? readsOf(made.body, made.sizes, (role) => this.cost(operands[made.roles.indexOf(role)] ?? "")) : Infinity;
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
   * @param {string} name
   * @param {number[]} cell
   */
  value(name, cell) {
    const numbers = this.numbers(name);
    if (numbers) return numbers[flat(cell, this.line(name).shape)] ?? NaN;
    return this.content.arrays[name] || !this.knows(name) ? NaN : this.compute(name, cell);
  }

  /**
   * A cell that the file does not have, from those that it has.
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
   * Whether the arithmetic of a line's cells can be shown: all that it takes is here.
   * @param {string} name
   */
  explains(name) {
    if (!this.isReady(name)) return false;
    return this.knows(name) && this.inputs(name).every((each) => this.knows(each));
  }

  /**
   * One cell, down to its arithmetic, as Python's `Trace.explain` has it.
   * @param {string} name
   * @param {number[]} cell
   * @param {number} [terms] how many terms of a sum are written out
   * @returns {Explanation}
   */
  explain(name, cell, terms = MAX_TERMS) {
    const { decimals } = this.content;
    const value = this.value(name, cell);
    const target = this.cellName(name, cell);
    const { made } = this.line(name);
    if (!made) return { rows: [[`${target} = ${number(value, decimals)}`]], reads: [] };
    const { filled, steps } = this.substituted(name, cell, terms);
    /** @type {Side[]} */
    const sides = [...steps.map((step) => /** @type {Side} */ ([step.name, step.filled, step.value])), [target, filled, value]];
    const rows = sides.map((side) => equal(side, decimals));
    return { rows, reads: distinct([filled, ...steps.map((step) => step.filled)].flatMap(refs)) };
  }

  /**
   * @param {string} name
   * @param {number[]} cell
   * @param {number} terms
   */
  substituted(name, cell, terms) {
    const { made } = this.line(name);
    if (!made) throw new Error(`${name} is given`);
    const { filled, steps } = substitute(made.body, this.scope(name, made, cell), terms);
    const find = this.finder(name, made, cell);
    return { filled: place(filled, find), steps: steps.map((step) => ({ ...step, filled: place(step.filled, find) })) };
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
    return {
      operands: Object.fromEntries(made.roles.map((role, n) => [role, /** @type {import("./expr.js").Operand} */ (operands[n])])),
      sizes: made.sizes ?? {},
      indices: Object.fromEntries(made.result.map((letter, n) => [letter, cell[lead.length + n] ?? 0])),
      locals: {},
      slow: new Set(),
      row: 0,
    };
  }

  /**
   * Where an operand's cells stand for a formula that speaks of its last axes.
   * @param {string} name
   * @param {number[]} lead the leading indices of the result
   * @param {number} core how many axes the formula speaks of
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
      for (let at = 0; at < size; at += 1) {
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

  /**
   * The line and full cell that a role of a formula and its indices mean.
   * @param {string} name
   * @param {Made} made
   * @param {number[]} cell
   * @returns {(role: string, inner: number[]) => [string, number[]]}
   */
  finder(name, { roles, core, result }, cell) {
    const { operands } = this.line(name);
    const lead = cell.slice(0, cell.length - result.length);
    const leads = operands.map((operand, n) => leadOf(lead, this.line(operand).shape, core[n] ?? 0));
    return (role, inner) => {
      const n = roles.indexOf(role);
      return [operands[n] ?? "", [...(leads[n] ?? []), ...inner]];
    };
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
