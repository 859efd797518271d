// A part of a head's map: for each block of queries the share of its weight that goes to each block of keys.

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 * @typedef {[number, number]} Span the first token, and the one behind the last
 * @typedef {{queries: Span, keys: Span}} View
 */

/** A map has no more blocks than this along queries and along keys, as `clearhead.inspection.maps` has it. */
const MOST = 64;

/** One request takes about this number of weights, so that a part of a large map is there soon. */
const WEIGHTS = 30_000_000;

/**
 * Where blocks of tokens begin, and where the last one ends.
 * @param {Span} span
 */
export function edgesOf([first, end]) {
  const count = end - first;
  const blocks = Math.min(count, MOST);
  return Array.from({ length: blocks + 1 }, (_, n) => first + Math.floor((n * count) / blocks));
}

export class Shares {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.rows = edgesOf(view.queries);
    this.columns = edgesOf(view.keys);
    this.high = this.rows.length - 1;
    this.wide = this.columns.length - 1;
    this.numbers = new Float32Array(this.high * this.wide).fill(NaN);
  }

  /**
   * The share of a square; NaN where it is not known yet.
   * @param {number} row
   * @param {number} column
   */
  at(row, column) {
    return this.numbers[row * this.wide + column] ?? NaN;
  }

  /**
   * The mean weight of all shown queries on each block of keys.
   * @returns {number[]}
   */
  byKey() {
    const queries = this.view.queries[1] - this.view.queries[0];
    return Array.from({ length: this.wide }, (_, column) => this.sum(this.high, (row) => this.at(row, column) * this.size(row) / queries));
  }

  /**
   * The share of the weight of each block of queries that goes to any shown key.
   * @returns {number[]}
   */
  byQuery() {
    return Array.from({ length: this.high }, (_, row) => this.sum(this.wide, (column) => this.at(row, column)));
  }

  /** @param {number} row */
  size(row) {
    return (this.rows[row + 1] ?? 0) - (this.rows[row] ?? 0);
  }

  /**
   * A sum of what is known.
   * @param {number} count
   * @param {(n: number) => number} each
   */
  sum(count, each) {
    let whole = 0;
    for (let n = 0; n < count; n += 1) whole += each(n) || 0;
    return whole;
  }

  /**
   * Asks the server for all shares, some rows at a time.
   * @param {Survey} survey
   * @param {Place} place
   * @param {() => boolean} isWanted whether they still are, asked after each part
   */
  async fetch(survey, place, isWanted) {
    for (let row = 0; row < this.high; ) {
      const end = this.reach(row, survey.content.tokens.length);
      const part = { rows: this.rows.slice(row, end + 1), columns: this.columns };
      (await survey.ask(place, part)).forEach((shares, n) => this.numbers.set(shares, (row + n) * this.wide));
      if (!isWanted()) return;
      row = end;
    }
  }

  /**
   * The row behind those that one request takes.
   * @param {number} row
   * @param {number} tokens
   */
  reach(row, tokens) {
    let end = row + 1;
    while (end < this.high && ((this.rows[end + 1] ?? 0) - (this.rows[row] ?? 0)) * tokens <= WEIGHTS) end += 1;
    return end;
  }
}

/**
 * A part of a span around a token, of this many tokens, inside the text.
 * @param {number} token
 * @param {number} count
 * @param {number} tokens
 * @returns {Span}
 */
export function around(token, count, tokens) {
  const size = Math.min(Math.max(Math.round(count), 1), tokens);
  const first = Math.min(Math.max(Math.round(token - size / 2), 0), tokens - size);
  return [first, first + size];
}
