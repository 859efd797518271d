// What a line's formula gives, in an arithmetic that Python's `predict.py` and this page share to the last bit: only
// operations that IEEE 754 defines exactly, sums added up from their first term on, and an `exp` made of these. Sums of
// products are taken of whole numbers of so few bits that they are exact in any order.

/**
 * @typedef {import("./node.js").Node_} Node_
 * @typedef {number | Float64Array} Row one number for a whole row, or one for each column
 * @typedef {() => Row} Code
 * @typedef {{numbers: Float64Array, offset: number, strides: number[]}} Operand
 *
 * @typedef {object} Names where names find their values while a row is worked out
 * @property {Record<string, Operand>} operands by role
 * @property {Record<string, number>} sizes
 * @property {Record<string, number>} indices
 * @property {string} last the index that runs along the row
 */

const LOG2_E = 1.4426950408889634;
const [LN_2_HIGH, LN_2_LOW] = [0.69314718036912381649, 1.90821492927058770002e-10];
const SERIES = Array.from({ length: 14 }, (_, n) => 1 / Array.from({ length: 13 - n }, (_, k) => k + 1).reduce((a, b) => a * b, 1));
const [LEAST, MAX] = [-708, 709];
const WORDS = new Int32Array(2);
const POWER = new Float64Array(WORDS.buffer);

/**
 * The exponential, exact to a few units of the last place.
 * @param {number} x
 */
export function exp(x) {
  if (!(x >= LEAST && x <= MAX)) return Number.isNaN(x) ? NaN : x < LEAST ? 0 : Infinity;
  const power = Math.floor(x * LOG2_E + 0.5);
  const rest = x - power * LN_2_HIGH - power * LN_2_LOW;
  let result = SERIES[0] ?? 0;
  for (let n = 1; n < 14; n += 1) result = result * rest + /** @type {number} */ (SERIES[n]);
  WORDS[1] = (power + 1023) << 20;
  return result * /** @type {number} */ (POWER[0]);
}

/** @type {Record<string, (a: number, b: number) => number>} */
const SHARED = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "<": (a, b) => Number(a < b),
  "<=": (a, b) => Number(a <= b),
  "==": (a, b) => Number(a === b),
  and: (a, b) => Number(a && b),
  "^": (a) => a * a,
  "//": (a, b) => Math.floor(a / b),
  "%": (a, b) => a - b * Math.floor(a / b),
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp,
  tanh: (a) => 1 - 2 / (exp(2 * a) + 1),
  max: (a, b) => (b > a ? b : a),
  share: (a, b) => (b === 0 ? 0 : a / b),
};

/**
 * The code of an expression for one row after the other. Each node keeps the row that it fills.
 * @param {Node_} node
 * @param {Names} names
 * @param {Record<string, Row>} locals
 * @returns {Code}
 */
function compile(node, names, locals) {
  /** @param {Node_} each */
  const inner = (each) => compile(each, names, locals);
  switch (node[0]) {
    case "Number": {
      const value = Number(node[1]);
      return () => value;
    }
    case "Size": {
      const value = names.sizes[node[1]] ?? NaN;
      return () => value;
    }
    case "Index":
      return index(node[1], names);
    case "Local":
      return () => locals[node[1]] ?? NaN;
    case "Ref":
      if (node[2].some((each) => each[0] !== "Index")) return picked(node[1], node[2].map(inner), names);
      return cells(node[1], node[2].map((each) => String(each[1])), names);
    case "Call":
      return applied(node[1], node[2].map(inner), names);
    case "Binary":
      return applied(node[1], node[1] === "^" ? [inner(node[2])] : [inner(node[2]), inner(node[3])], names);
    case "Where":
      return chosen(inner(node[1]), inner(node[2]), inner(node[3]), names);
    case "Let": {
      const [value, body] = [inner(node[2]), inner(node[3])];
      return () => {
        locals[node[1]] = value();
        return body();
      };
    }
    case "Reduce":
      return productSum(node, names) ?? summed(node[1], node[2], inner(node[3]), names);
    default:
      throw new Error(`${node[0]} is not shared`);
  }
}

/** @param {Names} names */
function width({ sizes, last }) {
  return sizes[last] ?? 1;
}

/**
 * @param {string} name
 * @param {Names} names
 * @returns {Code}
 */
function index(name, names) {
  if (name !== names.last) return () => names.indices[name] ?? NaN;
  const all = Float64Array.from({ length: width(names) }, (_, n) => n);
  return () => all;
}

/**
 * The cells of an operand along a row.
 * @param {string} role
 * @param {string[]} letters
 * @param {Names} names
 * @returns {Code}
 */
function cells(role, letters, names) {
  const row = new Float64Array(width(names));
  const along = letters.indexOf(names.last);
  return () => {
    const { numbers, offset, strides } = /** @type {Operand} */ (names.operands[role]);
    let at = offset;
    for (let n = 0; n < letters.length; n += 1) {
      if (n !== along) at += (strides[n] ?? 0) * (names.indices[letters[n] ?? ""] ?? 0);
    }
    if (along < 0) return numbers[at] ?? NaN;
    const step = strides[along] ?? 0;
    for (let n = 0; n < row.length; n += 1, at += step) row[n] = /** @type {number} */ (numbers[at]);
    return row;
  };
}

/**
 * The cells of an operand whose indices are worked out.
 * @param {string} role
 * @param {Code[]} code
 * @param {Names} names
 * @returns {Code}
 */
function picked(role, code, names) {
  const row = new Float64Array(width(names));
  return () => {
    const { numbers, offset, strides } = /** @type {Operand} */ (names.operands[role]);
    row.fill(offset);
    code.forEach((each, axis) => {
      const [index, step] = [each(), strides[axis] ?? 0];
      for (let n = 0; n < row.length; n += 1) row[n] = (row[n] ?? 0) + step * (typeof index === "number" ? index : (index[n] ?? 0));
    });
    for (let n = 0; n < row.length; n += 1) row[n] = numbers[row[n] ?? 0] ?? NaN;
    return row;
  };
}

/**
 * @param {string} name
 * @param {Code[]} code
 * @param {Names} names
 * @returns {Code}
 */
function applied(name, code, names) {
  const known = SHARED[name];
  const [left, right] = code;
  if (!known || !left) throw new Error(`${name} is not shared`);
  const row = new Float64Array(width(names));
  if (name === "*") return () => multiplied(left(), right?.() ?? NaN, row);
  return () => mapped(known, left(), right?.() ?? NaN, row);
}

/**
 * @param {(a: number, b: number) => number} known
 * @param {Row} a
 * @param {Row} b
 * @param {Float64Array} row
 * @returns {Row}
 */
function mapped(known, a, b, row) {
  if (typeof a === "number" && typeof b === "number") return known(a, b);
  for (let n = 0; n < row.length; n += 1) {
    row[n] = known(typeof a === "number" ? a : /** @type {number} */ (a[n]), typeof b === "number" ? b : /** @type {number} */ (b[n]));
  }
  return row;
}

/**
 * A product, in loops of their own: most of all work is here.
 * @param {Row} a
 * @param {Row} b
 * @param {Float64Array} row
 * @returns {Row}
 */
function multiplied(a, b, row) {
  if (typeof a === "number") {
    if (typeof b === "number") return a * b;
    for (let n = 0; n < row.length; n += 1) row[n] = a * /** @type {number} */ (b[n]);
  } else if (typeof b === "number") {
    for (let n = 0; n < row.length; n += 1) row[n] = /** @type {number} */ (a[n]) * b;
  } else {
    for (let n = 0; n < row.length; n += 1) row[n] = /** @type {number} */ (a[n]) * /** @type {number} */ (b[n]);
  }
  return row;
}

/**
 * @param {Code} condition
 * @param {Code} then
 * @param {Code} otherwise
 * @param {Names} names
 * @returns {Code}
 */
function chosen(condition, then, otherwise, names) {
  const row = new Float64Array(width(names));
  return () => {
    const when = condition();
    if (typeof when === "number") return when ? then() : otherwise();
    const [a, b] = [then(), otherwise()];
    for (let n = 0; n < row.length; n += 1) {
      const from = when[n] ? a : b;
      row[n] = typeof from === "number" ? from : /** @type {number} */ (from[n]);
    }
    return row;
  };
}

/**
 * The sum or mean over indices, added up from the first term on.
 * @param {string} kind
 * @param {string[]} over
 * @param {Code} body
 * @param {Names} names
 * @returns {Code}
 */
function summed(kind, over, body, names) {
  const row = new Float64Array(width(names));
  const sizes = over.map((name) => names.sizes[name] ?? 0);
  const count = sizes.reduce((a, b) => a * b, 1);
  return () => {
    let single = 0;
    let wide = false;
    for (let term = 0; term < count; term += 1) {
      for (let n = over.length - 1, rest = term; n >= 0; n -= 1) {
        names.indices[over[n] ?? ""] = rest % (sizes[n] ?? 1);
        rest = Math.floor(rest / (sizes[n] ?? 1));
      }
      const value = body();
      if (typeof value === "number") single = term ? single + value : value;
      else if (term === 0) row.set(value);
      else for (let n = 0; n < row.length; n += 1) row[n] = /** @type {number} */ (row[n]) + /** @type {number} */ (value[n]);
      wide = typeof value !== "number";
    }
    if (kind === "mean") return wide ? mapped(/** @type {any} */ (SHARED["/"]), row, count, row) : single / count;
    return wide ? row : single;
  };
}

/** The bits of a float64: whole numbers of so many are exact. */
const EXACT = 53;

/** The largest power of 2 that factors are scaled with. */
const FARTHEST = 400;

/**
 * A sum over one index of products of two cells, in one loop: almost all work of a long trace is such sums.
 * @param {Node_} node
 * @param {Names} names
 * @returns {Code | null}
 */
function productSum(node, names) {
  if (node[0] !== "Reduce" || node[1] !== "sum" || node[2].length !== 1 || node[3][0] !== "Binary" || node[3][1] !== "*") return null;
  const [, , left, right] = node[3];
  const [first, second] = [plainLetters(left), plainLetters(right)];
  if (!first || !second) return null;
  const over = node[2][0] ?? "";
  const count = names.sizes[over] ?? 0;
  const bits = EXACT - (32 - Math.clz32(count - 1));
  const [a, b] = [whole(first, Math.floor(bits / 2), names), whole(second, bits - Math.floor(bits / 2), names)];
  const factor = 2 ** (a.power + b.power);
  const row = new Float64Array(width(names));
  return () => {
    row.fill(0);
    const [x, y] = [along(first, a, over, names), along(second, b, over, names)];
    for (let term = 0; term < count; term += 1) addProducts(row, x, y, term);
    for (let n = 0; n < row.length; n += 1) row[n] = /** @type {number} */ (row[n]) * factor;
    return row;
  };
}

/**
 * An operand's numbers as whole ones of so many bits, and the power of 2 that one of these stands for.
 * @param {{role: string, letters: string[]}} cells
 * @param {number} bits
 * @param {Names} names
 */
function whole({ role, letters }, bits, names) {
  const { numbers, offset, strides } = /** @type {Operand} */ (names.operands[role]);
  const size = (strides[0] ?? 1) * (letters.length ? (names.sizes[letters[0] ?? ""] ?? 1) : 1);
  const part = numbers.slice(offset, offset + size);
  let most = 0;
  for (let n = 0; n < part.length; n += 1) {
    const value = /** @type {number} */ (part[n]);
    if (!Number.isFinite(value)) part[n] = 0;
    else if (Math.abs(value) > most) most = Math.abs(value);
  }
  const power = exponent(most) - bits;
  if (Math.abs(power) > FARTHEST) return { numbers: part.fill(0), strides, power: 0 };
  const unit = 2 ** -power;
  for (let n = 0; n < part.length; n += 1) part[n] = Math.floor(/** @type {number} */ (part[n]) * unit + 0.5);
  return { numbers: part, strides, power };
}

/**
 * The power of 2 just above a number, as C's frexp has it.
 * @param {number} value
 */
function exponent(value) {
  if (value === 0) return 0;
  const words = new Uint32Array(new Float64Array([value]).buffer);
  return (((words[1] ?? 0) >>> 20) & 0x7ff) - 1022;
}

/**
 * @typedef {{numbers: Float64Array, start: number, step: number, jump: number}} Along how cells follow each other: by step
 *   in a row, by jump from term to term
 *
 * @param {Float64Array} row
 * @param {Along} a
 * @param {Along} b
 * @param {number} term
 */
function addProducts(row, a, b, term) {
  const [one, other, step, stride] = [a.numbers, b.numbers, a.step, b.step];
  let [x, y] = [a.start + term * a.jump, b.start + term * b.jump];
  for (let n = 0; n < row.length; n += 1, x += step, y += stride) {
    row[n] = /** @type {number} */ (row[n]) + /** @type {number} */ (one[x]) * /** @type {number} */ (other[y]);
  }
}

/**
 * @param {Node_} node
 * @returns {{role: string, letters: string[]} | null}
 */
function plainLetters(node) {
  if (node[0] !== "Ref" || node[2].some((each) => each[0] !== "Index")) return null;
  return { role: node[1], letters: node[2].map((each) => String(each[1])) };
}

/**
 * @param {{letters: string[]}} cells
 * @param {{numbers: Float64Array, strides: number[]}} operand
 * @param {string} over
 * @param {Names} names
 * @returns {Along}
 */
function along({ letters }, { numbers, strides }, over, names) {
  const found = { numbers, start: 0, step: 0, jump: 0 };
  letters.forEach((letter, axis) => {
    const stride = strides[axis] ?? 0;
    if (letter === names.last) found.step += stride;
    else if (letter === over) found.jump += stride;
    else found.start += stride * (names.indices[letter] ?? 0);
  });
  return found;
}

/**
 * What a formula gives for one matrix (or more axes, if it speaks of more): written behind each other into `out`.
 * @param {Node_} body
 * @param {string[]} result the indices of the result
 * @param {Record<string, number>} sizes
 * @param {Record<string, Operand>} operands
 * @param {Float64Array} out
 */
export function predict(body, result, sizes, operands, out) {
  const last = result.at(-1) ?? "";
  /** @type {Names} */
  const names = { operands, sizes, indices: {}, last };
  const code = compile(body, names, {});
  const outer = result.slice(0, -1);
  const length = sizes[last] ?? 1;
  for (let row = 0; row * length < out.length; row += 1) {
    for (let n = outer.length - 1, rest = row; n >= 0; n -= 1) {
      const size = sizes[outer[n] ?? ""] ?? 1;
      names.indices[outer[n] ?? ""] = rest % size;
      rest = Math.floor(rest / size);
    }
    const value = code();
    if (typeof value === "number") out.fill(value, row * length, (row + 1) * length);
    else out.set(value, row * length);
  }
}

/**
 * Puts right what was predicted: each number's bits plus a difference, which is stored with its sign in its last bit.
 * @param {Float64Array} predicted
 * @param {Uint8Array} planes the lowest bytes of all differences, then the next ...
 * @param {"f4" | "f8"} kind
 * @returns {Float32Array | Float64Array}
 */
export function corrected(predicted, planes, kind) {
  for (let n = 0; n < predicted.length; n += 1) if (Number.isNaN(predicted[n])) predicted[n] = 0;
  const count = predicted.length;
  const numbers = kind === "f4" ? new Float32Array(predicted) : predicted;
  const size = kind === "f4" ? 1 : 2;
  const words = new Uint32Array(numbers.buffer);
  /** @type {(n: number, plane: number) => number} */
  const byte = (n, plane) => planes[plane * count + n] ?? 0;
  /** @type {(n: number, first: number) => number} */
  const word = (n, first) => byte(n, first) | (byte(n, first + 1) << 8) | (byte(n, first + 2) << 16) | (byte(n, first + 3) << 24);
  for (let n = 0; n < count; n += 1) {
    const low = word(n, 0);
    const high = size === 2 ? word(n, 4) : 0;
    if (low === 0 && high === 0) continue;
    const sign = -(low & 1);
    const at = n * size;
    const sum = /** @type {number} */ (words[at]) + ((((low >>> 1) | (high << 31)) ^ sign) >>> 0);
    words[at] = sum;
    if (size === 2) words[at + 1] = /** @type {number} */ (words[at + 1]) + ((high >>> 1) ^ sign) + (sum > 0xffffffff ? 1 : 0);
  }
  return numbers;
}
