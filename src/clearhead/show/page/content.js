// The content of a page, and how its numbers are unpacked: late, and only those that are shown.

/**
 * @typedef {import("./node.js").Node_} Node_
 *
 * @typedef {object} Claimed
 * @property {number[]} cell
 * @property {string} written
 * @property {number} tolerance how far it may be off: half a unit of its last digit, and its slack
 * @property {boolean} exact whether it was written as a fraction
 * @property {boolean} agrees
 * @property {Verdict} [verdict] of what was filled into a blank
 *
 * @typedef {"right" | "carried" | "wrong" | "coarse"} Verdict carried: right with the reader's own earlier numbers
 *
 * @typedef {object} Made how a line is computed
 * @property {string} summary
 * @property {string} formula MathML
 * @property {string[]} roles
 * @property {number[]} core how many axes the formula has, for each operand
 * @property {string[]} result
 * @property {Node_} body
 * @property {boolean} backwards whether the last cells are computed first, as in the gradient of a recurrence
 * @property {Record<string, number> | null} sizes null where they are not known
 *
 * @typedef {object} LineData
 * @property {string} name
 * @property {string[]} axes
 * @property {number[]} shape empty where it is not known
 * @property {number | null} head the axis that @ selects from
 * @property {(number | null)[]} named over which tokens each axis runs: 0 for the input's, 1 for the memory's
 * @property {string | null} symbol the letter that formulas have for it, in MathML
 * @property {boolean} shares
 * @property {string} stage the pass that it belongs to
 * @property {null | "blank" | "large" | "unkept"} absent why the page has no numbers of it
 * @property {boolean} changed whether a deviation made this line
 * @property {string[]} operands
 * @property {boolean[]} reads for each operand, whether its numbers are read or only its sizes
 * @property {Made | null} made null for what is given
 * @property {{rows: number, columns: number, data: string} | null} [picture] a small picture of weights that the page has no room for
 * @property {Claimed[]} claims
 * @property {string[]} notes
 *
 * @typedef {{kind: "f4" | "f8" | "u1" | "w8", deflated?: string}} ArrayKind
 *
 * @typedef {object} Variant another way to compute the lines
 * @property {string} name
 * @property {string} does
 * @property {string} remedy
 * @property {string[]} applied the deviations in it, as a problem's file has them
 * @property {string[]} order the names of all its lines
 * @property {LineData[]} lines those that are new, or others than in the page
 *
 * @typedef {{line: string, cell: number[], whole: boolean, says: string}} Step a cell to look at, and whether its whole line is there
 *
 * @typedef {object} Content
 * @property {string} title
 * @property {string} key what is the same for the same problem, and for no other
 * @property {string[]} about
 * @property {number} first
 * @property {number | null} decimals
 * @property {string[][]} tokens the names of the tokens of the input, and of the memory
 * @property {{name: string, does: string, unseen: string, remedy: string}[]} deviations
 * @property {{token: string, probability: number}[]} next the most probable next tokens
 * @property {string | null} problem the file of the problem, for pages that are saved as one
 * @property {LineData[]} lines
 * @property {Variant[]} [variants]
 * @property {boolean} [embedded] whether the page is shown inside another, which receives each change as a message
 * @property {Step[]} [steps] of a page that is walked through
 * @property {string | null} diagnosis
 * @property {Record<string, ArrayKind>} arrays
 *
 * @typedef {Float32Array | Float64Array | Uint8Array} Numbers
 * @typedef {(line: string) => string} Source the packed numbers of a line, base64
 */

const KINDS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, w8: Float64Array };

/**
 * The bytes of a packed array.
 * @param {ArrayKind} about
 * @param {string} data
 */
async function bytesOf({ deflated }, data) {
  const bytes = decoded(data);
  if (!deflated) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {string} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
function decoded(data) {
  const { fromBase64 } = /** @type {any} */ (Uint8Array); // Several times as fast, in browsers since 2025.
  if (fromBase64) return fromBase64.call(Uint8Array, data);
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < bytes.length; n += 1) bytes[n] = text.charCodeAt(n);
  return bytes;
}

/**
 * The numbers of a packed array.
 * @param {ArrayKind} about
 * @param {string} data
 * @returns {Promise<Numbers>}
 */
export async function unpack(about, data) {
  const bytes = await bytesOf(about, data);
  const Kind = KINDS[about.kind];
  if (!about.deflated) return new Kind(bytes.buffer);
  const size = Kind.BYTES_PER_ELEMENT;
  const count = bytes.length / size;
  const whole = new Uint8Array(bytes.length);
  for (let plane = 0; plane < size; plane += 1) {
    for (let n = 0; n < count; n += 1) whole[n * size + plane] = bytes[plane * count + n] ?? 0;
  }
  return new Kind(whole.buffer);
}
