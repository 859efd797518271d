// The positions of cells: in the numbers of a line, and in its matrices.

/** @typedef {import("./content.js").LineData} LineData */

/**
 * The leading indices of an operand for those of the result: aligned at the right, 0 where it broadcasts.
 * @param {number[]} indices
 * @param {number[]} shape
 * @param {number} core
 */
export function leadOf(indices, shape, core) {
  const sizes = shape.slice(0, shape.length - core);
  const mine = [...sizes.map(() => 0), ...indices].slice(indices.length);
  return mine.map((index, n) => Math.min(index, (sizes[n] ?? 1) - 1));
}

/**
 * The position of a cell in the numbers of its line.
 * @param {number[]} cell
 * @param {number[]} shape
 */
export function flat(cell, shape) {
  return cell.reduce((at, index, axis) => at * (shape[axis] ?? 1) + index, 0);
}

/**
 * A cell from its position.
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
 * The matrix, row and column of a full cell.
 * @param {LineData} line
 * @param {number[]} cell
 */
export function inMatrix(line, cell) {
  const padded = [0, 0, ...cell].slice(-Math.max(2, cell.length));
  return { matrix: flat(cell.slice(0, -2), layout(line).leads), row: padded.at(-2) ?? 0, column: padded.at(-1) ?? 0 };
}

/**
 * The row to start at: for weights the last query, which sees all keys, else the first row.
 * @param {LineData} line
 */
export function startRow(line) {
  return line.shares && line.axes.at(-2) === "query" ? layout(line).rows - 1 : 0;
}
