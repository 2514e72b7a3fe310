/** What goes wrong with a call. After paying: the money has moved and the answer is lost, the case that doubles payments. */
export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'fail'; readonly afterPaying: boolean }
  | { readonly kind: 'timeout'; readonly afterPaying: boolean }

/** `draw` is in [0, 1): the first part fails, the next times out, half of each after paying. */
export function faultOf(draw: number, rates: { readonly fail: number; readonly timeout: number }): Fault {
  if (draw < rates.fail) return { kind: 'fail', afterPaying: draw < rates.fail / 2 }
  if (draw < rates.fail + rates.timeout) return { kind: 'timeout', afterPaying: draw < rates.fail + rates.timeout / 2 }
  return { kind: 'none' }
}
