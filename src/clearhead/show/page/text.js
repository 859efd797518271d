// Formulas as one line of plain text, as `clearhead.expr.text` writes them; links are separate fragments.

import { number } from "./number.js";

/**
 * @typedef {import("./node.js").Node_} Node_
 * @typedef {{text: string, line: string, cell: number[]}} Link a number, and the cell it was read from
 * @typedef {string | Link} Fragment
 * @typedef {[Fragment[], number]} Piece the fragments, and how tightly their operator binds
 * @typedef {(line: string, cell: number[]) => string} Namer
 */

const [LOOSE, COMPARED, ADDED, MULTIPLIED, RAISED, ATOM] = [0, 1, 2, 3, 4, 5];

/** @type {Record<string, number>} */
const STRENGTH = {
  and: LOOSE, "<": COMPARED, "<=": COMPARED, "==": COMPARED, "+": ADDED, "-": ADDED,
  "*": MULTIPLIED, "/": MULTIPLIED, "//": MULTIPLIED, "%": MULTIPLIED, "^": RAISED,
};

/** @type {Record<string, string>} */
const TIGHT = { "*": "*", "/": "/", "^": "^", "//": "//", "%": " mod " };

/**
 * The fragments of an expression whose numbers are filled in. References hold the full cell of the line they name.
 * @param {Node_} node
 * @param {number | null} decimals
 * @returns {Fragment[]}
 */
export function fragments(node, decimals) {
  return piece(node, decimals)[0];
}

/**
 * The text of fragments.
 * @param {Fragment[]} written
 */
export function plain(written) {
  return written.map((each) => (typeof each === "string" ? each : each.text)).join("");
}

/**
 * @param {Node_} node
 * @param {number | null} decimals
 * @returns {Piece}
 */
function piece(node, decimals) {
  /** @param {Node_} each */
  const whole = (each) => piece(each, decimals)[0];
  /** @type {(each: Node_, strength: number) => Fragment[]} */
  const inside = (each, strength) => {
    const [written, own] = piece(each, decimals);
    return own >= strength ? written : ["(", ...written, ")"];
  };
  switch (node[0]) {
    case "Number":
      return signed(number(Number(node[1]), null));
    case "Local":
      return node[2] === null ? [[node[1]], ATOM] : signed(number(node[2], decimals));
    case "Ref":
      return cell(node, decimals);
    case "Call": {
      const [, name, given] = node;
      const [a, b] = given;
      if (name === "neg" && a) return [["-", ...inside(a, MULTIPLIED)], ADDED];
      if (name === "share" && a && b) return binary("/", a, b, inside);
      if (!given.length) return [[name], ATOM];
      return [[`${name}(`, ...joined(given.map(whole), ", "), ")"], ATOM];
    }
    case "Binary":
      return binary(node[1], node[2], node[3], inside);
    case "Terms":
      return terms(node, decimals, whole, inside);
    default:
      throw new Error(`${node[0]} has no numbers in it`);
  }
}

/**
 * @param {string} written
 * @returns {Piece}
 */
function signed(written) {
  return [[written], written.startsWith("-") ? ADDED : ATOM];
}

/**
 * @param {Extract<Node_, ["Ref", ...unknown[]]>} node
 * @param {number | null} decimals
 * @returns {Piece}
 */
function cell([, line, indices, , value], decimals) {
  const text = number(value ?? NaN, decimals);
  return [[{ text, line, cell: indices.map((each) => Number(each[1])) }], text.startsWith("-") ? ADDED : ATOM];
}

/**
 * @param {string} symbol
 * @param {Node_} left
 * @param {Node_} right
 * @param {(each: Node_, strength: number) => Fragment[]} inside
 * @returns {Piece}
 */
function binary(symbol, left, right, inside) {
  const own = STRENGTH[symbol] ?? LOOSE;
  const before = inside(left, symbol === "^" ? own + 1 : own);
  const after = inside(right, ["-", "/", "%", "//"].includes(symbol) ? own + 1 : own);
  if (symbol === "+") return [addedUp([before, after]), own];
  return [[...before, TIGHT[symbol] ?? ` ${symbol} `, ...after], symbol === "//" || symbol === "%" ? ADDED : own];
}

/**
 * @param {Extract<Node_, ["Terms", ...unknown[]]>} node
 * @param {number | null} decimals
 * @param {(each: Node_) => Fragment[]} whole
 * @param {(each: Node_, strength: number) => Fragment[]} inside
 * @returns {Piece}
 */
function terms([, kind, shown, count, rest], decimals, whole, inside) {
  const more = count - shown.length;
  if (kind === "max") {
    const listed = [...shown.map(whole), ...(rest === null ? [] : [[`... ${more} more`]])];
    return [["max(", ...joined(listed, ", "), ")"], ATOM];
  }
  const written = addedUp(shown.map((each) => inside(each, ADDED)));
  if (rest !== null) written.push(` + ... ${more} more (${number(rest, decimals)})`);
  if (kind === "mean") return [["(", ...written, `)/${count}`], MULTIPLIED];
  return [written, count > 1 || !shown[0] ? ADDED : piece(shown[0], decimals)[1]];
}

/**
 * Pieces joined by plus signs, or by a minus sign where a piece starts with one.
 * @param {Fragment[][]} pieces
 * @returns {Fragment[]}
 */
function addedUp(pieces) {
  return pieces.flatMap((each, at) => {
    if (at === 0) return each;
    return plain(each).startsWith("-") ? [" - ", ...unsigned(each)] : [" + ", ...each];
  });
}

/**
 * Fragments without their leading minus.
 * @param {Fragment[]} written
 * @returns {Fragment[]}
 */
function unsigned([first, ...rest]) {
  if (first === undefined) return [];
  return [typeof first === "string" ? first.slice(1) : { ...first, text: first.text.slice(1) }, ...rest];
}

/**
 * @param {Fragment[][]} pieces
 * @param {string} between
 * @returns {Fragment[]}
 */
function joined(pieces, between) {
  return pieces.flatMap((each, at) => (at ? [between, ...each] : each));
}
