// Made by `npm run generate:sdk` from the schemas/ of the events. Do not edit it: a test compares the two.

/** Who did it. */
export interface User {
  /** The player, not empty, at most 256 characters. */
  id: string
  /** ISO 3166-1 alpha-2, such as TR. */
  geo?: string | null
  /** android, ios, web, … */
  platform?: string | null
  /** True where the player has ever paid. */
  payer_flag?: boolean | null
  /** Marks of the anti-fraud. */
  risk_flags?: readonly string[] | null
}

/** Where it was done. */
export interface Context {
  /** The session. */
  session_id?: string | null
  /** Fingerprint of the device. */
  device_fp?: string | null
  /** Address of the client. */
  ip?: string | null
  /** What the gateway makes of the user agent. */
  device?: {
    /** Such as Android or iOS. */
    os?: string | null
    /** Such as Chrome or Safari. */
    browser?: string | null
    /** mobile, tablet, desktop, tv or bot. */
    type?: string | null
  } | null
}

/** Payload of `bet`. A stake was placed; where the round is already settled, `win` says what it paid. */
export interface Bet {
  /** The stake, in `currency`. */
  bet: number
  /** What the bet paid back, in `currency`; 0 for a lost bet. */
  win?: number | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
  /** The game. */
  game_id?: string | number | null
  /** The round within the game. */
  round_id?: string | number | null
  /** Who runs the game or the payment. */
  provider?: string | null
}

/** Payload of `deposit`. Money came in. */
export interface Deposit {
  /** How much, in `currency`. */
  amount: number
  /** ISO 4217, such as EUR. */
  currency?: string | null
  /** card, bank_transfer, wallet, … */
  method?: string | null
  /** True for the player's first deposit. */
  first?: boolean | null
  /** The id at the payment provider. */
  transaction_id?: string | number | null
  /** Who runs the game or the payment. */
  provider?: string | null
}

/** Payload of `kyc_status_changed`. The verification of the player moved on or back. */
export interface KycStatusChanged {
  /** The new status: pending, verified, rejected, expired, … */
  status?: string | null
  /** The level the player has now, 0 upwards. */
  kyc_level?: number | null
  /** The status before. */
  previous_status?: string | null
  /** The level before. */
  previous_level?: number | null
  /** Why it changed. */
  reason?: string | null
}

/** Payload of `login`. The player signed in. */
export interface Login {
  /** How the player signed in: password, oauth, magic_link, … */
  method?: string | null
  /** False: the attempt failed. */
  success?: boolean | null
}

/** Payload of `mission_complete`. The player completed a mission. */
export interface MissionComplete {
  /** The mission. */
  mission_id: string | number
}

/** Payload of `mission_join`. The player joined a mission. */
export interface MissionJoin {
  /** The mission. */
  mission_id: string | number
}

/** Payload of `mission_progress`. The player moved on within a mission. */
export interface MissionProgress {
  /** The mission. */
  mission_id: string | number
  /** The step reached. */
  step?: string | number | null
  /** How far, in the unit of `target`. */
  progress?: number | null
  /** Where the mission is complete. */
  target?: number | null
}

/** Payload of `mission_view`. The player looked at a mission. */
export interface MissionView {
  /** The mission. */
  mission_id: string | number
}

/** Payload of `reward_issued`. A reward reached the player. */
export interface RewardIssued {
  /** The task that was paid, rt_ and 32 hex digits. */
  reward_task_id?: string | null
  /** The rule it came from. */
  rule_id?: string | null
  /** cash, bonus_cash, fs, coupon, loot, … */
  type?: string | null
  /** How much of it. */
  amount?: number | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
}

/** Payload of `rg_event`. Responsible gaming: a restriction was set, changed or lifted. */
export interface RgEvent {
  /** self_exclusion, cool_off, deposit_limit, loss_limit, reality_check, … */
  type: string
  /** set, changed, lifted, reached, … */
  action?: string | null
  /** The limit, in `currency`. */
  limit?: number | null
  /** RFC 3339: when it ends. */
  until?: string | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
}

/** Payload of `session_end`. A session ended. */
export interface SessionEnd {
  /** The session, where the context does not carry it. */
  session_id?: string | null
  /** Seconds the session lasted. */
  duration_s?: number | null
  /** logout, timeout, … */
  reason?: string | null
}

/** Payload of `session_start`. A session began. */
export interface SessionStart {
  /** The session, where the context does not carry it. */
  session_id?: string | null
  /** Where the player came from. */
  referrer?: string | null
}

/** Payload of `spin`. A slot was spun, for a stake or as a free spin. */
export interface Spin {
  /** The stake, in `currency`; absent for a free spin. */
  bet?: number | null
  /** What the spin paid, in `currency`. */
  win?: number | null
  /** True where the spin was given, not bought. */
  free_spin?: boolean | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
  /** The game. */
  game_id?: string | number | null
  /** The round within the game. */
  round_id?: string | number | null
  /** Who runs the game or the payment. */
  provider?: string | null
}

/** Payload of `tournament_join`. The player joined a tournament. */
export interface TournamentJoin {
  /** The tournament. */
  tournament_id: string | number
}

/** Payload of `tournament_reward`. The player won a prize of a tournament. */
export interface TournamentReward {
  /** The tournament. */
  tournament_id: string | number
  /** The final rank, 1 is first. */
  rank?: number | null
  /** cash, bonus_cash, fs, coupon, loot, … */
  type?: string | null
  /** How much of it. */
  amount?: number | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
}

/** Payload of `tournament_score`. The player scored in a tournament. */
export interface TournamentScore {
  /** The tournament. */
  tournament_id: string | number
  /** Points scored by this event. */
  score: number
  /** The player's total after it. */
  total?: number | null
}

/** Payload of `tournament_update`. The standing of the player in a tournament changed. */
export interface TournamentUpdate {
  /** The tournament. */
  tournament_id: string | number
  /** The new rank, 1 is first. */
  rank?: number | null
  /** The rank before. */
  previous_rank?: number | null
  /** The player's total. */
  score?: number | null
}

/** Payload of `win`. A win was paid out. */
export interface Win {
  /** What was won, in `currency`. */
  win: number
  /** The stake behind it, in `currency`. */
  bet?: number | null
  /** ISO 4217, such as EUR. */
  currency?: string | null
  /** The game. */
  game_id?: string | number | null
  /** The round within the game. */
  round_id?: string | number | null
  /** Who runs the game or the payment. */
  provider?: string | null
}

/** Payload of `withdraw_request`. The player asked for money to be paid out. */
export interface WithdrawRequest {
  /** How much, in `currency`. */
  amount: number
  /** ISO 4217, such as EUR. */
  currency?: string | null
  /** card, bank_transfer, wallet, … */
  method?: string | null
  /** The id at the payment provider. */
  transaction_id?: string | number | null
  /** Who runs the game or the payment. */
  provider?: string | null
}

/**
 * The payload of each event by its name. Add event types of your own by declaring this interface again:
 * `declare module 'onceward/sdk' { interface EventPayloads { level_up: { level: number } } }`.
 */
export interface EventPayloads {
  bet: Bet
  deposit: Deposit
  kyc_status_changed: KycStatusChanged
  login: Login
  mission_complete: MissionComplete
  mission_join: MissionJoin
  mission_progress: MissionProgress
  mission_view: MissionView
  reward_issued: RewardIssued
  rg_event: RgEvent
  session_end: SessionEnd
  session_start: SessionStart
  spin: Spin
  tournament_join: TournamentJoin
  tournament_reward: TournamentReward
  tournament_score: TournamentScore
  tournament_update: TournamentUpdate
  win: Win
  withdraw_request: WithdrawRequest
}

/** The version that events of a name carry, where their schema says one. */
export const EVENT_VERSIONS: Readonly<Record<string, string>> = {}
