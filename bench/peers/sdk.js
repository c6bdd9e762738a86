// Logs in and out once with the official JavaScript SDK (npm's files.com), as its README shows it.
// usage: node bench/peers/sdk.js BASE_URL USERNAME PASSWORD, with NODE_PATH leading to the SDK

const Files = require('files.com/lib/Files').default
const Session = require('files.com/lib/models/Session').default
const { LogLevel } = require('files.com/lib/Logger')

const [baseUrl, username, password] = process.argv.slice(2)

async function main() {
  Files.setBaseUrl(baseUrl.replace(/\/api\/rest\/v1$/, ''))
  Files.setLogLevel(LogLevel.NONE)
  const session = await Session.create({ username, password })
  Files.setSessionId(session.id)
  await Session.destroy()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
