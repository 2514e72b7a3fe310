/**
 * What is remembered of one window of one user. `at` is the event time of the last event that counted, ms. `data` is a
 * flat list whose shape the function gives (operators/window-fold.ts): slices in order of time with what they hold.
 */
export interface WindowState {
  at: number
  data: (number | string)[]
}

/** The windows of one user, by the id of their spec: one record, since one event mostly touches several. */
export type UserWindows = Record<string, WindowState>
