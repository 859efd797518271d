// The arithmetic of one cell of a trace: its formula with numbers in place of names, and the cells that it reads.

import { leadOf } from "./cells.js";
import { substitute } from "./expr.js";
import { number } from "./number.js";
import { OWN } from "./trace.js";
import { fragments, plain } from "./text.js";

/**
 * @typedef {import("./content.js").Made} Made
 * @typedef {import("./node.js").Node_} Node_
 * @typedef {import("./text.js").Fragment} Fragment
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {[string, Node_, number]} Side a name, its arithmetic, and its value
 * @typedef {{rows: Fragment[][], reads: Place[]}} Explanation each row of the arithmetic, and the cells it reads
 */

/** Sums of more terms than this show only their largest. */
const MAX_TERMS = 6;

/**
 * The arithmetic of a cell; null where the page does not have all numbers that it needs.
 * @param {Trace} trace
 * @param {Place} place
 */
export function explained(trace, { line, cell }) {
  const isKnown = trace.isReady(line) && [line, ...trace.inputs(line)].every((each) => trace.knows(each));
  return isKnown ? explain(trace, line, cell) : null;
}

/**
 * One cell, down to its arithmetic, as Python's `Trace.explain` has it.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} cell
 * @param {number} [terms] how many terms of a sum are written out
 * @returns {Explanation}
 */
export function explain(trace, name, cell, terms = MAX_TERMS) {
  const { decimals } = trace.content;
  const value = trace.value(name, cell);
  const target = trace.cellName(name, cell);
  const { made } = trace.line(name);
  if (!made) return { rows: [[`${target} = ${number(value, decimals)}`]], reads: [] };
  const { filled, steps } = substitute(made.body, trace.scope(name, made, cell), terms);
  const find = finder(trace, name, made, cell);
  /** @type {Side[]} */
  const sides = [
    ...steps.map((step) => /** @type {Side} */ ([step.name, place(step.filled, find), step.value])),
    [target, place(filled, find), value],
  ];
  const reads = [...sides].reverse().flatMap(([, arithmetic]) => refs(arithmetic));
  return { rows: sides.map((side) => equal(side, decimals)), reads: distinct(reads) };
}

/**
 * The line and full cell that a role of a formula and its indices mean.
 * @param {Trace} trace
 * @param {string} name
 * @param {Made} made
 * @param {number[]} cell
 * @returns {(role: string, inner: number[]) => [string, number[]]}
 */
function finder(trace, name, { roles, core, result }, cell) {
  const { operands } = trace.line(name);
  const lead = cell.slice(0, cell.length - result.length);
  const leads = operands.map((operand, n) => leadOf(lead, trace.line(operand).shape, core[n] ?? 0));
  return (role, inner) => {
    if (role === OWN) return [name, [...lead, ...inner]];
    const n = roles.indexOf(role);
    return [operands[n] ?? "", [...(leads[n] ?? []), ...inner]];
  };
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
