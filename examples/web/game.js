// A page that tells the gateway what its player does. It knows nothing of networks: `track` takes an event, and the client sees
// to it that it arrives.
const { gateway, key } = document.body.dataset
const element = (id) => document.getElementById(id)
const rows = new Map()
const counts = { sent: 0, rejected: 0 }

const onceward = Onceward.createClient({
  url: gateway,
  key,
  user: { id: playerId() },
  onAccepted: (events) => {
    for (const { event_id, event_name } of events) settle(event_id, event_name, 'sent')
    element('trouble').textContent = ''
  },
  onRejected: ({ event_id, event_name }, { reason, detail }) => settle(event_id, event_name, 'rejected', `${reason}: ${detail}`),
  onError: ({ message, retryInMs }) => {
    const next = retryInMs === undefined ? '' : `; again in ${Math.ceil(retryInMs / 1000)} s`
    element('trouble').textContent = `${message}${next}`
    showCounts()
  },
})

track('session_start', { referrer: document.referrer })
element('spin').addEventListener('click', spin)
element('mission').addEventListener('click', () => track('mission_view', { mission_id: 'm_daily' }))
element('cheat').addEventListener('click', () => track('deposit', { amount: 1000, currency: 'EUR' }))
for (const change of ['online', 'offline']) addEventListener(change, showNetwork)
showNetwork()

function spin() {
  const symbols = ['🍒', '🍋', '⭐', '🔔', '💎']
  element('reels').textContent = [1, 2, 3].map(() => symbols[Math.floor(Math.random() * symbols.length)]).join(' ')
  track('spin', { free_spin: true, game_id: 'three_of_a_kind' })
}

function track(name, payload) {
  const id = onceward.track(name, payload)
  // What cannot even be queued was told before it had come back.
  if (!rows.has(id)) show(id, name, 'queued')
  showCounts()
}

function settle(id, name, state, why = state) {
  counts[state] += 1
  show(id, name, state, why)
  showCounts()
}

function show(id, name, state, why = state) {
  let row = rows.get(id)
  if (row === undefined) {
    row = document.createElement('li')
    row.append(name, document.createElement('span'))
    row.dataset.id = id
    rows.set(id, row)
    element('events').prepend(row)
  }
  row.dataset.state = state
  row.lastChild.textContent = why
}

function showCounts() {
  for (const [state, count] of Object.entries(counts)) element(state).textContent = count
  element('queued').textContent = onceward.pending
}

function showNetwork() {
  element('network').textContent = navigator.onLine ? 'online' : 'offline'
  element('network').dataset.online = navigator.onLine
}

/** A player for this browser; a real page knows who is signed in. */
function playerId() {
  try {
    localStorage.player ??= `u_${Math.random().toString(36).slice(2, 10)}`
    return localStorage.player
  } catch {
    return 'u_without_storage'
  }
}
