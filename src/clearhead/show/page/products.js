// Sums of products, which most of the work of a page is: the cells that one goes through lie evenly spaced, so that no
// index is computed inside the sum. Terms are added up in the same order as one by one.

/**
 * @typedef {import("./node.js").Node_} Node_
 * @typedef {import("./expr.js").Code} Code
 * @typedef {import("./expr.js").Scope} Scope
 *
 * @typedef {object} Factor an operand's cells along an index
 * @property {string} role
 * @property {Code[]} indices
 * @property {boolean[]} along which of the indices is the one that is summed over
 */

/**
 * The code of a sum over one index of a product of two operands' cells; null for other sums.
 * @param {string} name the index
 * @param {Node_} term
 * @param {(node: Node_) => Code} compile
 * @param {Code} slow the same sum, one by one: where an operand's numbers are not unpacked
 * @returns {Code | null}
 */
export function sumOfProducts(name, term, compile, slow) {
  if (term[0] !== "Binary" || term[1] !== "*") return null;
  const [first, second] = [factor(name, term[2], compile), factor(name, term[3], compile)];
  if (!first || !second) return null;
  return (scope) => {
    const [a, b] = [scope.operands[first.role], scope.operands[second.role]];
    if (!a?.numbers || !b?.numbers) return slow(scope);
    const before = scope.indices[name];
    scope.indices[name] = 0;
    let [at, beside] = [start(first, a, scope), start(second, b, scope)];
    const [step, other] = [stride(first, a), stride(second, b)];
    const [left, right] = [a.numbers, b.numbers];
    const count = scope.sizes[name] ?? 0;
    let sum = 0;
    for (let n = 0; n < count; n += 1) {
      sum += (left[at] ?? NaN) * (right[beside] ?? NaN);
      at += step;
      beside += other;
    }
    if (before !== undefined) scope.indices[name] = before;
    return sum;
  };
}

/**
 * A factor whose indices are the one that is summed over, or do not depend on it; else null.
 * @param {string} name
 * @param {Node_} node
 * @param {(node: Node_) => Code} compile
 * @returns {Factor | null}
 */
function factor(name, node, compile) {
  if (node[0] !== "Ref") return null;
  const along = node[2].map((each) => each[0] === "Index" && each[1] === name);
  const isEven = node[2].every((each, n) => along[n] || each[0] === "Index" || each[0] === "Number");
  return isEven ? { role: node[1], indices: node[2].map(compile), along } : null;
}

/**
 * @param {Factor} factor
 * @param {import("./expr.js").Operand} operand
 * @param {Scope} scope
 */
function start({ indices }, { base, strides }, scope) {
  let at = base;
  for (let n = 0; n < indices.length; n += 1) at += /** @type {Code} */ (indices[n])(scope) * (strides[n] ?? 0);
  return at;
}

/**
 * @param {Factor} factor
 * @param {import("./expr.js").Operand} operand
 */
function stride({ along }, { strides }) {
  return along.reduce((sum, isAlong, n) => sum + (isAlong ? (strides[n] ?? 0) : 0), 0);
}
