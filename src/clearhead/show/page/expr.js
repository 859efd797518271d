// The algebra of formulas, as in `clearhead.expr`: evaluated, and with its numbers filled in.

import { FLOAT, reduce } from "./functions.js";
import { sumOfProducts } from "./products.js";

/**
 * @typedef {import("./node.js").Node_} Node_
 *
 * @typedef {object} Operand where the cells of an operand are, or how the page computes one
 * @property {import("./content.js").Numbers | undefined} numbers
 * @property {number} base the position of the cell with indices 0
 * @property {number[]} strides the distance of neighbours along each index
 * @property {(cell: number[]) => number} read
 *
 * @typedef {object} Scope where names find their values
 * @property {Record<string, Operand>} operands by the role they have in the formula
 * @property {Record<string, number>} sizes
 * @property {Record<string, number>} indices
 * @property {Record<string, number>} locals
 * @property {ReadonlySet<string>} slow indices of which one changes only with `row`, where cells are computed row by row
 * @property {number} row
 *
 * @typedef {(scope: Scope) => number} Code
 */

/**
 * @typedef {{name: string, filled: Node_, value: number}} Step
 */

/**
 * @template T
 * @param {Record<string, T>} from
 * @param {string} name
 * @returns {T}
 */
function known(from, name) {
  const value = from[name];
  if (value === undefined) throw new Error(`nothing is called ${name}`);
  return value;
}

/**
 * What has been compiled.
 * @type {WeakMap<Node_, Code>}
 */
const COMPILED = new WeakMap();

/**
 * The value of an expression; conditions are 1 and 0.
 * @param {Node_} node
 * @param {Scope} scope
 * @returns {number}
 */
export function evaluate(node, scope) {
  return compiled(node)(scope);
}

/**
 * An expression as a function, made once.
 * @param {Node_} node
 * @returns {Code}
 */
export function compiled(node) {
  let code = COMPILED.get(node);
  if (!code) COMPILED.set(node, (code = compile(node)));
  return code;
}

/**
 * @param {Node_} node
 * @returns {Code}
 */
function compile(node) {
  switch (node[0]) {
    case "Number": {
      const value = Number(node[1]);
      return () => value;
    }
    case "Index":
      return ({ indices }) => known(indices, node[1]);
    case "Size":
      return ({ sizes }) => known(sizes, node[1]);
    case "Local":
      return ({ locals }) => known(locals, node[1]);
    case "Ref":
      return reading(node[1], node[2].map(compile));
    case "Call":
      return ratio(node) ?? calling(node[1], node[2].map(compile));
    case "Binary":
      return calling(node[1], [compile(node[2]), compile(node[3])]);
    case "Where": {
      const [condition, then, otherwise] = [compile(node[1]), compile(node[2]), compile(node[3])];
      return (scope) => (condition(scope) ? then : otherwise)(scope);
    }
    case "Let": {
      const name = node[1];
      const [value, body] = [compile(node[2]), compile(node[3])];
      return (scope) => {
        scope.locals[name] = value(scope);
        return body(scope);
      };
    }
    case "Reduce":
      return once(lettersOf(node), product(node) ?? reducing(node[1], node[2], compile(node[3])));
    case "Terms":
      throw new Error("terms have no value of their own");
  }
}

/**
 * @param {string} role
 * @param {Code[]} indices
 * @returns {Code}
 */
function reading(role, indices) {
  return (scope) => {
    const { numbers, base, strides, read } = known(scope.operands, role);
    if (!numbers) return read(indices.map((each) => each(scope)));
    let at = base;
    for (let n = 0; n < indices.length; n += 1) at += /** @type {Code} */ (indices[n])(scope) * (strides[n] ?? 0);
    return numbers[at] ?? NaN;
  };
}

/**
 * @param {string} name
 * @param {Code[]} given
 * @returns {Code}
 */
function calling(name, given) {
  const apply = known(FLOAT, name);
  const [a, b] = given;
  if (!a) return () => apply();
  if (!b) return (scope) => apply(a(scope));
  return (scope) => apply(a(scope), b(scope));
}

/**
 * A softmax: an exponential divided by a sum of exponentials, without overflow; null for all else.
 * @param {Extract<Node_, ["Call", ...unknown[]]>} node
 * @returns {Code | null}
 */
function ratio([, name, [above, below]]) {
  if (name !== "share" || above?.[0] !== "Call" || above[1] !== "exp" || below?.[0] !== "Reduce" || below[1] !== "sum") return null;
  const [, , over, term] = below;
  if (term[0] !== "Call" || term[1] !== "exp") return null;
  const own = compile(/** @type {Node_} */ (above[2][0]));
  const each = compile(/** @type {Node_} */ (term[2][0]));
  const letters = lettersOf(below);
  const largest = once(letters, reducing("max", over, each));
  /** @param {Scope} scope */
  const most = (scope) => Math.max(largest(scope), -Number.MAX_VALUE);
  const sum = once(letters, (scope) => {
    const shift = most(scope);
    return reducing("sum", over, (inner) => Math.exp(each(inner) - shift))(scope);
  });
  return (scope) => {
    const whole = sum(scope);
    return whole === 0 ? 0 : Math.exp(own(scope) - most(scope)) / whole;
  };
}

/**
 * The indices that a value depends on; null where it also depends on named values.
 * @param {Node_} node
 * @returns {Set<string> | null}
 */
function lettersOf(node) {
  if (node[0] === "Index") return new Set([node[1]]);
  if (node[0] === "Local" || node[0] === "Let" || node[0] === "Terms") return null;
  /** @type {Node_[]} */
  const inside = node[0] === "Ref" || node[0] === "Call" ? node[2] : node[0] === "Binary" ? [node[2], node[3]]
    : node[0] === "Where" ? [node[1], node[2], node[3]] : node[0] === "Reduce" ? [node[3]] : [];
  const found = inside.map(lettersOf);
  if (found.includes(null)) return null;
  const bound = new Set(node[0] === "Reduce" ? node[2] : []);
  return new Set(found.flatMap((each) => [...(each ?? [])]).filter((letter) => !bound.has(letter)));
}

/**
 * A value that is computed once for each row, where it depends on nothing that changes inside a row.
 * @param {Set<string> | null} letters
 * @param {Code} code
 * @returns {Code}
 */
function once(letters, code) {
  if (!letters) return code;
  /** @type {Scope | null} */
  let owner = null;
  let [row, value, isSlow] = [-1, NaN, false];
  return (scope) => {
    if (owner !== scope) {
      owner = scope;
      row = -1;
      isSlow = scope.slow.size > 0 && [...letters].every((letter) => scope.slow.has(letter));
    }
    if (!isSlow) return code(scope);
    if (row !== scope.row) {
      value = code(scope);
      row = scope.row;
    }
    return value;
  };
}

/**
 * The sum, mean or max over indices, in order.
 * @param {string} kind
 * @param {string[]} over
 * @param {Code} term
 * @returns {Code}
 */
function reducing(kind, over, term) {
  const [name, ...rest] = over;
  if (kind === "sum" && name !== undefined && !rest.length) return summing(name, term);
  return (scope) => reduce(kind, valuesOf(over, scope, term));
}

/**
 * A sum of products of two cells each, taken at once.
 * @param {Extract<Node_, ["Reduce", ...unknown[]]>} node
 * @returns {Code | null}
 */
function product([, kind, [name, ...rest], term]) {
  if (kind !== "sum" || name === undefined || rest.length) return null;
  return sumOfProducts(name, term, compile, summing(name, compile(term)));
}

/**
 * @param {string} name
 * @param {Code} term
 * @returns {Code}
 */
function summing(name, term) {
  return (scope) => {
    const { indices, sizes } = scope;
    const before = indices[name];
    const count = known(sizes, name);
    let sum = 0;
    for (let value = 0; value < count; value += 1) {
      indices[name] = value;
      sum += term(scope);
    }
    if (before !== undefined) indices[name] = before;
    return sum;
  };
}

/**
 * @param {string[]} over
 * @param {Scope} scope
 * @param {Code} term
 * @returns {number[]}
 */
export function valuesOf(over, scope, term) {
  const [name, ...rest] = over;
  if (name === undefined) return [term(scope)];
  const before = scope.indices[name];
  const values = Array.from({ length: known(scope.sizes, name) }, (_, value) => {
    scope.indices[name] = value;
    return rest.length ? valuesOf(rest, scope, term) : [term(scope)];
  }).flat();
  if (before !== undefined) scope.indices[name] = before;
  return values;
}

/**
 * The cell of indices, counted from 0.
 * @param {Node_[]} indices
 * @param {Scope} scope
 */
export function cellOf(indices, scope) {
  return indices.map((each) => evaluate(each, scope));
}

/**
 * @param {Scope} scope
 * @param {string} name
 * @param {number} value
 * @returns {Scope}
 */
function knowing(scope, name, value) {
  return { ...scope, locals: { ...scope.locals, [name]: value } };
}

/**
 * One scope for each combination of values of these indices.
 * @param {string[]} over
 * @param {Scope} scope
 * @returns {Scope[]}
 */
function runs(over, scope) {
  const [name, ...rest] = over;
  if (name === undefined) return [scope];
  return Array.from({ length: known(scope.sizes, name) }, (_, value) =>
    runs(rest, { ...scope, indices: { ...scope.indices, [name]: value } }),
  ).flat();
}

/**
 * How many numbers are read to compute an expression, given the cost of a cell of each operand.
 * @param {Node_} node
 * @param {Record<string, number>} sizes
 * @param {(role: string) => number} cost
 * @returns {number}
 */
export function readsOf(node, sizes, cost) {
  /** @param {Node_[]} nodes */
  const all = (nodes) => nodes.reduce((sum, each) => sum + readsOf(each, sizes, cost), 0);
  switch (node[0]) {
    case "Ref":
      return cost(node[1]) + all(node[2]);
    case "Call":
      return all(node[2]);
    case "Binary":
    case "Let":
      return all([node[2], node[3]]);
    case "Where":
      return readsOf(node[1], sizes, cost) + Math.max(readsOf(node[2], sizes, cost), readsOf(node[3], sizes, cost));
    case "Reduce":
      return node[2].reduce((count, name) => count * known(sizes, name), readsOf(node[3], sizes, cost));
    default:
      return 0;
  }
}

/**
 * The expression with its numbers in it, and its named values. Sums are written out, of more than
 * `most` terms only the largest; of a `Where` only the branch that was taken is left.
 * @param {Node_} body
 * @param {Scope} start
 * @param {number} most
 * @returns {{filled: Node_, steps: Step[]}}
 */
export function substitute(body, start, most) {
  /** @type {Step[]} */
  const steps = [];

  /**
   * @param {Node_} node
   * @param {Scope} scope
   * @returns {Node_}
   */
  function fill(node, scope) {
    switch (node[0]) {
      case "Index":
      case "Size":
        return ["Number", evaluate(node, scope)];
      case "Local":
        return ["Local", node[1], evaluate(node, scope)];
      case "Ref": {
        const cell = cellOf(node[2], scope);
        return ["Ref", node[1], cell.map((index) => ["Number", index]), node[3], evaluate(node, scope)];
      }
      case "Call":
        return ["Call", node[1], node[2].map((each) => fill(each, scope))];
      case "Binary":
        return ["Binary", node[1], fill(node[2], scope), fill(node[3], scope)];
      case "Where":
        return fill(evaluate(node[1], scope) ? node[2] : node[3], scope);
      case "Let": {
        const value = evaluate(node[2], scope);
        steps.push({ name: node[1], filled: fill(node[2], scope), value });
        return fill(node[3], knowing(scope, node[1], value));
      }
      case "Reduce":
        return writeOut(node[1], node[3], runs(node[2], scope));
      default:
        return node;
    }
  }

  /**
   * @param {string} kind
   * @param {Node_} term
   * @param {Scope[]} scopes
   * @returns {Node_}
   */
  function writeOut(kind, term, scopes) {
    if (scopes.length <= most) return ["Terms", kind, scopes.map((each) => fill(term, each)), scopes.length, null];
    const values = scopes.map((each) => evaluate(term, each));
    const weight = kind === "max" ? values : values.map(Math.abs);
    const chosen = values.map((_, n) => n).sort((a, b) => (weight[b] ?? 0) - (weight[a] ?? 0) || a - b);
    const kept = new Set(chosen.slice(0, most - 1));
    const rest = reduce(kind === "max" ? "max" : "sum", values.filter((_, n) => !kept.has(n)));
    const terms = scopes.filter((_, n) => kept.has(n)).map((each) => fill(term, each));
    return ["Terms", kind, terms, scopes.length, rest];
  }

  return { filled: fill(body, start), steps };
}
