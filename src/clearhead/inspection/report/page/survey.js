// The content of a report, and how its numbers are unpacked: those of a layer when it is shown.

import { unpack } from "../../../show/page/content.js";
import { number } from "../../../show/page/number.js";

/**
 * @typedef {{name: string, title: string, says: string, log: boolean}} Statistic
 *
 * @typedef {object} Content
 * @property {string} title
 * @property {string} about
 * @property {string[]} notes
 * @property {string[]} tokens
 * @property {number[]} layers
 * @property {number} heads
 * @property {number[]} edges
 * @property {boolean} causal
 * @property {Statistic[]} statistics one number for each head
 * @property {Statistic[]} along one number for each token of a head
 * @property {number} pairs
 * @property {number[]} blocks where the blocks of tokens of a map begin, and where the last one ends; none without maps
 * @property {boolean[]} mapped of each layer, whether it has a map
 * @property {boolean} served whether any part of a map can be asked for
 * @property {Record<string, import("../../../show/page/content.js").ArrayKind>} arrays
 *
 * @typedef {{layer: number, head: number}} Place the layer by its place among those inspected
 * @typedef {{query: number, key: number, weight: number}} Pair
 */

export class Survey {
  /**
   * @param {Content} content
   * @param {(name: string) => string} source
   */
  constructor(content, source) {
    this.content = content;
    this.source = source;
    /** @type {Map<string, Promise<Float32Array>>} */
    this.loading = new Map();
    /** @type {Map<string, Float32Array>} */
    this.summary = new Map();
  }

  /** Unpacks the numbers that are shown first. */
  async start() {
    for (const { name } of this.content.statistics) this.summary.set(name, await this.numbers(`summary.${name}`));
  }

  /**
   * @param {string} name
   * @returns {Promise<Float32Array>}
   */
  numbers(name) {
    let found = this.loading.get(name);
    if (!found) {
      const about = this.content.arrays[name];
      if (!about) throw new Error(`the report has no ${name}`);
      found = unpack(about, this.source(name)).then((numbers) => /** @type {Float32Array} */ (numbers));
      this.loading.set(name, found);
    }
    return found;
  }

  /**
   * One number of a head.
   * @param {string} name
   * @param {Place} place
   */
  value(name, { layer, head }) {
    return this.summary.get(name)?.[layer * this.content.heads + head] ?? NaN;
  }

  /**
   * The numbers of one head in an array of a layer.
   * @param {string} name
   * @param {Place} place
   */
  async of(name, { layer, head }) {
    const all = await this.numbers(`${this.content.layers[layer]}.${name}`);
    const each = all.length / this.content.heads;
    return all.subarray(head * each, (head + 1) * each);
  }

  /**
   * Asks the server for a part of a head's map.
   * @param {Place} place
   * @param {{rows: number[], columns: number[]}} part where blocks of queries and of keys begin and end
   * @returns {Promise<number[][]>}
   */
  async ask({ layer, head }, part) {
    const answer = await fetch("/map", {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ layer: this.content.layers[layer], head, ...part }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  /**
   * The share of a square of the map in every head; NaN where there is no map.
   * @param {number} row
   * @param {number} column
   */
  async everywhere(row, column) {
    const { layers, heads, mapped, blocks } = this.content;
    const side = blocks.length - 1;
    const found = new Float32Array(layers.length * heads).fill(NaN);
    for (const [layer, isMapped] of mapped.entries()) {
      if (!isMapped) continue;
      const map = await this.numbers(`${layers[layer]}.map`);
      for (let head = 0; head < heads; head += 1) found[layer * heads + head] = map[(head * side + row) * side + column] ?? NaN;
    }
    return found;
  }

  /**
   * @param {Place} place
   * @param {"all" | "beyond"} which
   * @returns {Promise<Pair[]>}
   */
  async pairs(place, which) {
    const [query, key, weight] = await Promise.all(
      ["query", "key", "weight"].map((part) => this.of(`pairs.${which}.${part}`, place)),
    );
    return [...(weight ?? [])].map((each, n) => ({ query: query?.[n] ?? 0, key: key?.[n] ?? 0, weight: each })).filter((pair) => pair.weight > 0);
  }

  /** The names of the bands of distance. */
  bands() {
    const { edges } = this.content;
    const names = edges.map((edge, n) => {
      const begin = n ? edges[n - 1] ?? 0 : 0;
      return edge === begin + 1 ? String(begin) : `${begin} to ${edge - 1}`;
    });
    return [...names, `${edges.at(-1) ?? 0} on`];
  }

  /** @param {Place} place */
  name({ layer, head }) {
    return `Layer ${this.content.layers[layer]}, head ${head}`;
  }
}

/**
 * A number with three digits.
 * @param {number} value
 */
export function written(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return number(Number(value.toPrecision(3)), 6);
}
