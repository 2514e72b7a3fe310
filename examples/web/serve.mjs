// Serves the page of this folder on http://localhost:8000, under the strictest content security policy that it runs with:
//   node examples/web/serve.mjs [--port 8000] [--gateway http://localhost:8080] [--bundle FILE]
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const GATEWAY = 'http://localhost:8080'
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8000' },
    gateway: { type: 'string', default: GATEWAY },
    bundle: { type: 'string' },
  },
})
// What `npm run build` has made of the SDK.
const bundle = values.bundle ?? createRequire(import.meta.url).resolve('onceward/sdk/onceward.iife.min.js')
const here = dirname(fileURLToPath(import.meta.url))
const files = {
  '/': { path: join(here, 'index.html'), type: 'text/html' },
  '/game.js': { path: join(here, 'game.js'), type: 'text/javascript' },
  '/style.css': { path: join(here, 'style.css'), type: 'text/css' },
  '/onceward.js': { path: bundle, type: 'text/javascript' },
}
const policy = `default-src 'none'; script-src 'self'; style-src 'self'; connect-src ${values.gateway}; require-trusted-types-for 'script'`

async function answer({ url = '/' }, response) {
  const file = files[new URL(url, 'http://localhost').pathname]
  if (file === undefined) return response.writeHead(404).end()
  const text = (await readFile(file.path, 'utf8')).replace(GATEWAY, values.gateway)
  response.writeHead(200, { 'content-type': `${file.type}; charset=utf-8`, 'content-security-policy': policy })
  return response.end(text)
}

const server = createServer((request, response) => void answer(request, response))
server.listen(Number(values.port), 'localhost', () => {
  process.stdout.write(`http://localhost:${server.address().port}\n`)
})
