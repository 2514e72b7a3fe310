import { readFileSync } from 'node:fs'

const pem = (name: string): string => readFileSync(new URL(`./certificates/${name}`, import.meta.url), 'utf8')

export const CA = pem('ca.pem')
export const SERVER = { cert: pem('server.pem'), key: pem('server.key') }
export const CLIENT = { cert: pem('client.pem'), key: pem('client.key') }
export const STRANGER = { cert: pem('stranger.pem'), key: pem('stranger.key') }
