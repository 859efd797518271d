// The algebra of formulas, as `clearhead.expr` has it: worked out, and with its numbers filled in.

/**
 * @typedef {import("./node.js").Node_} Node_
 *
 * @typedef {object} Operand where the cells of an operand stand, or how one is found that the page has to compute
 * @property {import("./content.js").Numbers | undefined} numbers
 * @property {number} base where the cell with indices 0 stands
 * @property {number[]} strides how far apart neighbours of each index stand
 * @property {(cell: number[]) => number} read
 *
 * @typedef {object} Scope where names find their values
 * @property {Record<string, Operand>} operands by the role they have in the formula
 * @property {Record<string, number>} sizes
 * @property {Record<string, number>} indices
 * @property {Record<string, number>} locals
 *
 * @typedef {(scope: Scope) => number} Code
 */

/**
 * @typedef {{name: string, filled: Node_, value: number}} Step
 */

/** @type {Record<string, (...numbers: number[]) => number>} */
export const FLOAT = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "//": (a, b) => Math.floor(a / b),
  "%": (a, b) => a - b * Math.floor(a / b),
  "^": (a, b) => a ** b,
  "<": (a, b) => Number(a < b),
  "<=": (a, b) => Number(a <= b),
  "==": (a, b) => Number(a === b),
  and: (a, b) => a && b,
  neg: (a) => -a,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  max: (a, b) => (b > a ? b : a),
  pi: () => Math.PI,
  round: (a, decimals) => (Math.sign(a) * Math.floor(Math.abs(a) * 10 ** decimals + 0.5)) / 10 ** decimals,
  round_even: (a, decimals) => toEven(a * 10 ** decimals) / 10 ** decimals,
  truncate: (a, decimals) => (Math.sign(a) * Math.floor(Math.abs(a) * 10 ** decimals + NEARLY)) / 10 ** decimals,
  share: (a, b) => (b === 0 ? 0 : a / b),
};

/** What a number may lack of the next, in units of the last decimal kept, and count as it. */
const NEARLY = 1e-9;

/**
 * The nearest whole number, of two equally near the even one.
 * @param {number} x
 */
function toEven(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * The error function: a series of positive terms near 0, a continued fraction beyond.
 * @param {number} x
 */
function erf(x) {
  const size = Math.abs(x);
  if (Number.isNaN(x) || size > 6) return Number.isNaN(x) ? x : Math.sign(x);
  if (size < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) sum += term *= (2 * x * x) / (2 * n + 1);
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let rest = size;
  for (let n = 60; n > 0; n -= 1) rest = size + n / 2 / rest;
  return Math.sign(x) * (1 - Math.exp(-x * x) / (rest * Math.sqrt(Math.PI)));
}

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
      return reducing(node[1], node[2], compile(node[3]));
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
 * A share of exponentials, each less by the largest exponent, so that none overflows; null for all else.
 * @param {Extract<Node_, ["Call", ...unknown[]]>} node
 * @returns {Code | null}
 */
function ratio([, name, [above, below]]) {
  if (name !== "share" || above?.[0] !== "Call" || above[1] !== "exp" || below?.[0] !== "Reduce" || below[1] !== "sum") return null;
  const [, , over, term] = below;
  if (term[0] !== "Call" || term[1] !== "exp") return null;
  const own = compile(/** @type {Node_} */ (above[2][0]));
  const each = compile(/** @type {Node_} */ (term[2][0]));
  const largest = reducing("max", over, each);
  return (scope) => {
    const most = Math.max(largest(scope), -Number.MAX_VALUE);
    const sum = reducing("sum", over, (inner) => Math.exp(each(inner) - most))(scope);
    return sum === 0 ? 0 : Math.exp(own(scope) - most) / sum;
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
function valuesOf(over, scope, term) {
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
 * The cell, counted from 0, that indices point at.
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
 * One scope for each combination of values that these indices take.
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
 * The sum, mean or max of values, added up in order; the mean of equal values is theirs.
 * @param {string} kind
 * @param {number[]} values
 */
export function reduce(kind, values) {
  if (kind === "max") return values.reduce((a, b) => (b > a ? b : a));
  if (kind === "mean" && values.every((value) => value === values[0])) return values[0] ?? NaN;
  const whole = values.reduce((a, b) => a + b, 0);
  return kind === "mean" ? whole / values.length : whole;
}

/**
 * How many numbers it takes to compute an expression, where each cell of an operand takes some of its own.
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
 * The expression with its numbers in it, and the values it names on the way. Sums are written out, of more than
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
