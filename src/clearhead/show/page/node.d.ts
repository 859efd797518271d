/** A node of a formula: its kind, and what it holds in the order of Python's fields. */
export type Node_ =
  | ["Number", number | string]
  | ["Index", string]
  | ["Size", string]
  | ["Ref", string, Node_[], Node_ | null, number | null]
  | ["Local", string, number | null]
  | ["Call", string, Node_[]]
  | ["Binary", string, Node_, Node_]
  | ["Reduce", string, string[], Node_]
  | ["Where", Node_, Node_, Node_]
  | ["Let", string, Node_, Node_]
  | ["Terms", string, Node_[], number, number | null];
