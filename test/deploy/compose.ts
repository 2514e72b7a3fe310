import { parse } from 'yaml'
import { textOf } from './project.ts'

export interface Service {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly secrets?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
  readonly restart?: string
  readonly stop_grace_period?: string
  readonly read_only?: boolean
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

export function readCompose(): Compose {
  return parse(textOf('docker-compose.yml'), { merge: true }) as Compose
}

/** The services that run Onceward's own image. */
export function ownServices(compose: Compose): readonly (readonly [string, Service])[] {
  return Object.entries(compose.services).filter(([, { image }]) => image.startsWith('onceward:'))
}

export interface Mount {
  readonly source: string
  readonly target: string
}

export function mountsOf({ volumes = [] }: Service): readonly Mount[] {
  return volumes.map((text) => {
    const [source = '', target = ''] = text.split(':')
    return { source, target }
  })
}
