// Routes of wires between cards, around all others: the cheapest path over a grid of points.

/**
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 * @typedef {{source: string, target: string}} Ends
 * @typedef {[number, number]} Point
 *
 * @typedef {object} Ground the area of the wires
 * @property {Map<string, Box>} boxes the cards
 * @property {Box[]} closed where no wire may pass
 * @property {number} width
 * @property {number} height
 */

/** The distance of two points; cards lie on multiples of it. */
export const STEP = 6;

/** Right, down, left, up. */
const MOVES = /** @type {const} */ ([[1, 0], [0, 1], [-1, 0], [0, -1]]);
const [RIGHT, DOWN] = [0, 1];

/**
 * The cost of a step: wires of one source share a path, others keep apart; corners and the edges of cards cost more.
 */
const COST = { free: 1, shared: 0.4, taken: 40, crossed: 5, near: 1, corner: 5 };

/** The radius of a corner, and the length and half width of an arrowhead. */
const ROUND = 5;
const TIP = 4;

/** Routes wires over one area, each with regard to those before it. */
class Router {
  /** @param {Ground} ground */
  constructor({ boxes, closed, width, height }) {
    this.boxes = boxes;
    this.wide = Math.ceil(width / STEP) + 1;
    this.high = Math.ceil(height / STEP) + 1;
    const count = this.wide * this.high;
    this.blocked = new Uint8Array(count);
    for (const box of [...boxes.values(), ...closed]) this.block(box);
    this.near = this.blocked.map((own, at) => (!own && MOVES.some(([dx, dy]) => this.blocked[at + dx + dy * this.wide]) ? 1 : 0));
    /** The source whose wires run through a point, horizontally and vertically. */
    this.taken = new Int32Array(2 * count);
    this.best = new Float64Array(4 * count);
    this.came = new Int32Array(4 * count);
    this.sources = [...boxes.keys()];
  }

  /** @param {Box} box */
  block({ x, y, w, h }) {
    for (let row = Math.ceil(y / STEP); row * STEP <= y + h; row += 1) {
      for (let column = Math.ceil(x / STEP); column * STEP <= x + w; column += 1) this.blocked[row * this.wide + column] = 1;
    }
  }

  /**
   * The number of a point.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    return Math.round(y / STEP) * this.wide + Math.round(x / STEP);
  }

  /**
   * The corners of the cheapest wire between two cards; null where there is no path.
   * @param {Ends} ends
   * @param {number} share how far down the target's left side it ends
   * @returns {Point[] | null}
   */
  lead({ source, target }, share) {
    const [from, to] = [this.boxes.get(source), this.boxes.get(target)];
    if (!from || !to) return null;
    /** @type {Map<number, number>} */
    const goals = new Map([[this.at(to.x, to.y + to.h * share), RIGHT]]);
    if (from.x + from.w >= to.x) goals.set(this.at(to.x + to.w / 2, to.y), DOWN);
    const own = this.sources.indexOf(source) + 1;
    const end = this.search(this.at(from.x + from.w, from.y + from.h / 2), goals, own);
    return end < 0 ? null : this.walked(end, own);
  }

  /**
   * The end of the cheapest path, a point and a direction in one number; -1 where there is none.
   * @param {number} start
   * @param {Map<number, number>} goals points, and the direction to arrive in
   * @param {number} own
   */
  search(start, goals, own) {
    this.best.fill(Infinity);
    const queue = new Queue();
    this.best[4 * start + RIGHT] = 0;
    this.came[4 * start + RIGHT] = -1;
    queue.push(0, 4 * start + RIGHT);
    for (let next = queue.pop(); next; next = queue.pop()) {
      const [cost, key] = next;
      const [point, direction] = [key >> 2, key & 3];
      if (goals.get(point) === direction) return key;
      if (cost > (this.best[key] ?? 0)) continue;
      for (let turn = 0; turn < 4; turn += 1) {
        if ((turn + 2) % 4 === direction || (point === start && turn !== direction)) continue;
        const to = this.step(point, turn);
        if (to < 0 || (this.blocked[to] && goals.get(to) !== turn)) continue;
        const whole = cost + this.price(to, turn, own) + (turn === direction ? 0 : COST.corner);
        if (whole >= (this.best[4 * to + turn] ?? 0)) continue;
        this.best[4 * to + turn] = whole;
        this.came[4 * to + turn] = key;
        queue.push(whole, 4 * to + turn);
      }
    }
    return -1;
  }

  /**
   * The next point in a direction; -1 beyond the edge.
   * @param {number} point
   * @param {number} direction
   */
  step(point, direction) {
    const [dx, dy] = MOVES[direction] ?? [0, 0];
    const [x, y] = [(point % this.wide) + dx, Math.floor(point / this.wide) + dy];
    return x < 1 || y < 1 || x >= this.wide - 2 || y >= this.high - 2 ? -1 : y * this.wide + x;
  }

  /**
   * @param {number} point
   * @param {number} direction
   * @param {number} own
   */
  price(point, direction, own) {
    const along = this.taken[2 * point + (direction % 2)] ?? 0;
    const across = this.taken[2 * point + 1 - (direction % 2)] ?? 0;
    const passing = along ? (along === own ? COST.shared : COST.taken) : across && across !== own ? COST.crossed : COST.free;
    return passing + COST.near * (this.near[point] ?? 0);
  }

  /**
   * The points of a path that was found, which are marked as used.
   * @param {number} end
   * @param {number} own
   */
  walked(end, own) {
    /** @type {Point[]} */
    const points = [];
    for (let key = end; key >= 0; key = this.came[key] ?? -1) {
      const [point, direction] = [key >> 2, key & 3];
      points.unshift([(point % this.wide) * STEP, Math.floor(point / this.wide) * STEP]);
      this.taken[2 * point + (direction % 2)] = own;
      const before = this.came[key] ?? -1;
      if (before >= 0) this.taken[2 * (before >> 2) + (direction % 2)] = own;
    }
    return points;
  }
}

/** The points to visit, the cheapest first: a binary heap. */
class Queue {
  constructor() {
    /** @type {[number, number][]} */
    this.heap = [];
  }

  /**
   * @param {number} cost
   * @param {number} key
   */
  push(cost, key) {
    const { heap } = this;
    let at = heap.length;
    for (let up = (at - 1) >> 1; at && (heap[up]?.[0] ?? 0) > cost; up = (at - 1) >> 1) {
      heap[at] = /** @type {[number, number]} */ (heap[up]);
      at = up;
    }
    heap[at] = [cost, key];
  }

  pop() {
    const { heap } = this;
    const [first, last] = [heap[0], heap.pop()];
    if (!last || !heap.length) return first;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if ((heap[down + 1]?.[0] ?? Infinity) < (heap[down]?.[0] ?? Infinity)) down += 1;
      const below = heap[down];
      if (!below || below[0] >= last[0]) break;
      heap[at] = below;
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

/**
 * The wires between cards as SVG paths, in the order of the ends; the longest are routed first.
 * @param {Ground} ground
 * @param {Ends[]} all
 * @returns {(string | null)[]}
 */
export function lead(ground, all) {
  const router = new Router(ground);
  const length = all.map(({ source, target }) => distance(ground.boxes.get(source), ground.boxes.get(target)));
  const order = all.map((_, n) => n).sort((a, b) => (length[b] ?? 0) - (length[a] ?? 0));
  /** @type {(string | null)[]} */
  const paths = all.map(() => null);
  for (const n of order) {
    const ends = /** @type {Ends} */ (all[n]);
    const points = router.lead(ends, entry(ground.boxes, all, ends));
    paths[n] = points && rounded(points);
  }
  return paths;
}

/**
 * How far down its target's left side a wire ends: in the middle where it is alone or straight, else above or below.
 * @param {Map<string, Box>} boxes
 * @param {Ends[]} all
 * @param {Ends} ends
 */
function entry(boxes, all, { source, target }) {
  const into = all.filter((each) => each.target === target);
  const goal = boxes.get(target);
  const level = into.filter((each) => middle(boxes.get(each.source)) === middle(goal) && (boxes.get(each.source)?.x ?? 0) < (goal?.x ?? 0));
  const nearest = level.sort((a, b) => (boxes.get(b.source)?.x ?? 0) - (boxes.get(a.source)?.x ?? 0))[0];
  if (into.length === 1 || nearest?.source === source) return 0.5;
  return middle(boxes.get(source)) < middle(goal) ? 0.25 : 0.75;
}

/** @param {Box | undefined} box */
function middle(box) {
  return box ? box.y + box.h / 2 : 0;
}

/**
 * @param {Box | undefined} a
 * @param {Box | undefined} b
 */
function distance(a, b) {
  return a && b ? Math.abs(a.x - b.x) + Math.abs(a.y - b.y) : 0;
}

/**
 * A path through points, with round corners and an arrowhead.
 * @param {Point[]} points
 */
function rounded(points) {
  const corners = points.filter(([x, y], n) => {
    const [before, after] = [points[n - 1], points[n + 1]];
    return !before || !after || (before[0] - x) * (after[1] - y) !== (before[1] - y) * (after[0] - x);
  });
  /** @type {(point: Point, to: Point) => string} */
  const toward = ([x, y], [a, b]) => `${x + Math.sign(a - x) * ROUND} ${y + Math.sign(b - y) * ROUND}`;
  const path = corners.map((point, n) => {
    const [before, after] = [corners[n - 1], corners[n + 1]];
    if (!before) return `M${point.join(" ")}`;
    return after ? `L${toward(point, before)}Q${point.join(" ")} ${toward(point, after)}` : `L${point.join(" ")}`;
  }).join("");
  return `${path}${tip(/** @type {Point} */ (points.at(-2) ?? points[0]), /** @type {Point} */ (points.at(-1)))}`;
}

/**
 * The arrowhead from one point to the next.
 * @param {Point} from
 * @param {Point} to
 */
function tip([a, b], [x, y]) {
  const [dx, dy] = [Math.sign(x - a) * TIP, Math.sign(y - b) * TIP];
  return `M${x - dx - dy} ${y - dy - dx}L${x} ${y}L${x - dx + dy} ${y - dy + dx}`;
}
