// Pairs a session with a phone: node pair.mjs URL API_KEY SESSION
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const [base, key, session] = process.argv.slice(2)
const deadline = Date.now() + 300_000

// call sends a request until there is a response to act on. Each of these requests may be repeated.
async function call (method, path, body) {
  const headers = { 'X-API-Key': key, 'X-Request-Id': randomUUID(), 'Content-Type': 'application/json' }
  let problem = new Error('no phone was linked')
  while (Date.now() < deadline) {
    let seconds = 2
    const signal = AbortSignal.timeout(30_000) // longer than the wait
    try {
      const response = await fetch(`${base}/api/sessions${path}`, { method, headers, body: JSON.stringify(body), signal })
      const answer = await response.json()
      seconds = Number(response.headers.get('Retry-After') ?? 2)
      if (response.status === 202) await sleep(seconds * 1000) // not yet
      if (response.ok || response.status === 409) return { status: response.status, ...answer }
      problem = new Error(`${response.status} ${answer.code}: ${answer.message} (request ${headers['X-Request-Id']})`)
      problem.isFinal = response.status < 500 && response.status !== 429 // repeating it does not help
    } catch (error) { problem = error } // no response, or half of one
    if (problem.isFinal) break
    console.error(problem.message)
    await sleep(seconds * 1000)
  }
  throw problem
}

await call('POST', '', { sessionId: session, sessionName: session }) // 409: it exists, perhaps since a lost response
await call('POST', `/${session}/connect`)
for (let found; (found = await call('GET', `/${session}/qr`)).status !== 409;) { // 409: a phone is linked
  if (found.status === 200) {
    console.log('qr', found.data.qrCode) // show it, until there is another
    while ((await call('GET', `/${session}/qr/status?wait=20`)).data.generatedAt === found.data.generatedAt);
  } else if (found.diagnosis?.code === 'qr_expired') await call('POST', `/${session}/connect`) // all codes ran out
}
console.log('connected')
