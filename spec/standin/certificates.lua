-- The certificates of a run: an authority made for it, and leaves of several kinds, good and bad.
-- Depends on luaossl.

local altname = require("openssl.x509.altname")
local context = require("openssl.ssl.context")
local extension = require("openssl.x509.extension")
local name = require("openssl.x509.name")
local pkey = require("openssl.pkey")
local rand = require("openssl.rand")
local x509 = require("openssl.x509")

local Certificates = {}
Certificates.__index = Certificates

local certificates = {}

local DAY = 86400
local HOSTS = {
  { "DNS", "localhost" },
  { "IP", "127.0.0.1" },
  { "IP", "127.0.0.2" },
  { "IP", "::1" },
}

local function new_key()
  return pkey.new({ type = "EC", curve = "prime256v1" })
end

-- A certificate that is not signed yet, for a key.
local function blank(common_name, key, from, to)
  local certificate = x509.new()
  certificate:setVersion(3)
  certificate:setSerial(rand.uniform(2 ^ 31) + 1)
  certificate:setSubject(name.new():add("CN", common_name))
  certificate:setLifetime(from, to)
  certificate:setPublicKey(key)
  return certificate
end

-- An authority: its key and its certificate.
local function new_authority(common_name)
  local key, now = new_key(), os.time()
  local certificate = blank(common_name, key, now - DAY, now + 7 * DAY)
  certificate:setIssuer(certificate:getSubject())
  certificate:setBasicConstraints({ CA = true })
  certificate:setBasicConstraintsCritical(true)
  certificate:addExtension(extension.new("keyUsage", "critical,keyCertSign,cRLSign"))
  certificate:sign(key)
  return { key = key, certificate = certificate }
end

-- A leaf for `hosts`. Without an authority it signs itself.
local function new_leaf(authority, hosts, from, to)
  local key = new_key()
  local certificate = blank(hosts[1][2], key, from, to)
  local names = altname.new()
  for _, host in ipairs(hosts) do
    names:add(host[1], host[2])
  end
  certificate:setIssuer((authority and authority.certificate or certificate):getSubject())
  certificate:setSubjectAlt(names)
  certificate:setBasicConstraints({ CA = false })
  certificate:addExtension(extension.new("keyUsage", "critical,digitalSignature"))
  certificate:addExtension(extension.new("extendedKeyUsage", "serverAuth"))
  certificate:sign(authority and authority.key or key)
  return { key = key, certificate = certificate }
end

-- A server's context that shows a leaf.
local function serve(leaf)
  local server = context.new("TLS", true)
  server:setPrivateKey(leaf.key)
  server:setCertificate(leaf.certificate)
  return server
end

local KINDS = {}

function KINDS.good(authority, now)
  return serve(new_leaf(authority, HOSTS, now - DAY, now + 7 * DAY))
end

function KINDS.expired(authority, now)
  return serve(new_leaf(authority, HOSTS, now - 3 * DAY, now - DAY))
end

KINDS["self-signed"] = function(_, now)
  return serve(new_leaf(nil, HOSTS, now - DAY, now + 7 * DAY))
end

KINDS["wrong-host"] = function(authority, now)
  return serve(new_leaf(authority, { { "DNS", "elsewhere.example" } }, now - DAY, now + 7 * DAY))
end

KINDS["unknown-authority"] = function(_, now)
  return serve(new_leaf(new_authority("An authority that nobody knows"), HOSTS, now - DAY, now + 7 * DAY))
end

KINDS["tls1.1"] = function(authority, now)
  local server = KINDS.good(authority, now)
  server:setOptions(context.OP_NO_TLSv1_2 | context.OP_NO_TLSv1_3)
  server:setCipherList("ALL:@SECLEVEL=0")
  return server
end

--- Makes the authority of this run.
function certificates.new()
  return setmetatable({ authority = new_authority("Stand-in authority"), contexts = {} }, Certificates)
end

--- Whether there is such a kind of certificate.
function certificates.is_kind(kind)
  return KINDS[kind] ~= nil
end

--- The authority's certificate, for clients that trust it.
function Certificates:authority_pem()
  return self.authority.certificate:toPEM()
end

--- The server's context for a kind of certificate; each kind is made once.
function Certificates:context(kind)
  if not self.contexts[kind] then
    self.contexts[kind] = KINDS[kind](self.authority, os.time())
  end
  return self.contexts[kind]
end

--- A context with a fresh certificate of a kind, as after a renewal.
function Certificates:renew(kind)
  self.contexts[kind] = nil
  return self:context(kind)
end

return certificates
