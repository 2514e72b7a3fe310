import { describe, expect, it } from 'vitest'
import { openDevices } from '../../connectors/enrich/devices.ts'

describe('the device of a user agent', () => {
  const rows = [
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
      { os: 'iOS', browser: 'Safari', type: 'mobile', platform: 'ios' },
    ],
    [
      'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
      { os: 'Android', browser: 'Chrome', type: 'mobile', platform: 'android' },
    ],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0',
      { os: 'Windows', browser: 'Firefox', type: 'desktop', platform: 'web' },
    ],
    ['', undefined],
  ] as const

  it.each(rows)('%s', (userAgent, device) => {
    const devices = openDevices()
    expect(devices.device(userAgent)).toEqual(device)
    expect(devices.device(userAgent), 'once more').toEqual(device)
  })

  it('is read from its beginning alone: some patterns take long over long ones', () => {
    expect(openDevices().device(`${'x'.repeat(512)} ${rows[0][0]}`)).toBeUndefined()
    expect(openDevices().device(`${'x'.repeat(200)} ${rows[0][0]}`)).toMatchObject({ os: 'iOS' })
  })
})
