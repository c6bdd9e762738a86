-- Codes computed from a secret (RFC 6238), and login_with_otp answering by them on its own.
-- Depends on filescom and the stand-in.

local filescom = require("filescom")
local support = require("spec.support.standin")
local totp = require("filescom.totp")

-- RFC 6238's secret "12345678901234567890", as base32.
local SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
local TESS = { username = "tess", password = "tick-tock" }
local MIA = { username = "mia", password = "many-ways" }

-- RFC 6238, appendix B: those of SHA-1.
local VECTORS = {
  [59] = "94287082",
  [1111111109] = "07081804",
  [1111111111] = "14050471",
  [1234567890] = "89005924",
  [2000000000] = "69279037",
  [20000000000] = "65353130",
}

-- A clock that moves only when somebody waits.
local function new_clock(time)
  local clock = { slept = 0 }
  function clock.now()
    return time
  end
  function clock.sleep(seconds)
    time, clock.slept = time + seconds, clock.slept + seconds
  end
  return clock
end

describe("a code computed from a secret", function()
  it("is that of RFC 6238's test vectors", function()
    for time, code in pairs(VECTORS) do
      assert.are.equal(code, totp.code(SECRET, time, 8))
    end
  end)

  it("has six digits, zeros in front of it among them", function()
    assert.are.equal("287082", totp.code(SECRET, 59))
    assert.are.equal("081804", totp.code(SECRET, 1111111109))
  end)

  it("is the same for a secret in groups, in lower case and with padding", function()
    assert.are.equal("287082", totp.code("gezd gnbv gy3t qojq\ngezd-gnbv gy3t qojq", 59))
    assert.are.equal(totp.code("MZXW6YTB", 59), totp.code("mzxw6ytb", 59))
    assert.are.equal(totp.code("MZXW6", 59), totp.code("MZXW6===", 59))
  end)

  it("may come from a secret that a function returns", function()
    assert.are.equal("287082", totp.code(function()
      return SECRET
    end, 59))
  end)

  it("is refused for what is not base32, without repeating it", function()
    for _, wrong in ipairs({ "", "   ", "GEZDGNB1", "GEZD!", "GE==ZD" }) do
      local ok, why = pcall(totp.code, wrong, 59)
      assert.is_false(ok)
      assert.is_truthy(why:find("otp_secret is not base32", 1, true))
      assert.is_truthy(wrong == "" or not why:find(wrong .. '"', 1, true))
    end
    assert.has_error(function()
      totp.check(17)
    end)
  end)

  it("is given away once: the next one is waited for", function()
    local secret, clock = "KRUGS4ZAMFWHAY3IMFQQ", new_clock(1000)
    local first, second = totp.next_code(secret, clock), totp.next_code(secret, clock)
    assert.are.equal(totp.code(secret, 1000), first)
    assert.are.equal(totp.code(secret, 1020), second)
    assert.are.equal(20, clock.slept)
  end)

  it("is waited for two steps at most when the clock was set back", function()
    local secret = "KRUGS4ZAMFWHAY3IMFQQ"
    totp.next_code(secret, new_clock(500000))
    local clock = new_clock(1000)
    totp.next_code(secret, clock)
    assert.is_true(clock.slept <= 60)
  end)

  it("says what is missing where no library computes HMAC", function()
    local preload, loaded, ngx = package.preload["openssl.hmac"], package.loaded["openssl.hmac"], rawget(_G, "ngx")
    package.loaded["openssl.hmac"], package.loaded["filescom.totp"] = nil, nil
    package.preload["openssl.hmac"] = function()
      error("not here")
    end
    rawset(_G, "ngx", nil)
    local ok, why = pcall(require("filescom.totp").check, SECRET)
    rawset(_G, "ngx", ngx)
    package.preload["openssl.hmac"], package.loaded["openssl.hmac"] = preload, loaded
    package.loaded["filescom.totp"] = totp
    assert.is_false(ok)
    assert.is_truthy(why:find("install luaossl", 1, true))
  end)
end)

describe("login_with_otp with otp_secret", function()
  local standin, client

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  it("answers totp by itself", function()
    local session = assert(client:login_with_otp(TESS, nil, { otp_secret = SECRET }))
    assert.is_string(session.id)
    assert.are.equal(2, #standin:log())
  end)

  it("prefers totp to what get_code would answer", function()
    local secret = "KRUGS4ZANFZSAYJAOZSXE6JAONSWG4TF"
    assert(client:login_with_otp(MIA, function()
      error("nobody is to be asked")
    end, { otp_secret = secret }))
  end)

  it("leaves other methods to get_code", function()
    local asked
    assert(client:login_with_otp({ username = "sam", password = "dot-dash" }, function(challenge)
      asked = challenge.method
      return standin:code("sam", "sms")
    end, { otp_secret = SECRET }))
    assert.are.equal("sms", asked)
  end)

  it("says that there is nobody to ask for another method", function()
    local sam = { username = "sam", password = "dot-dash" }
    local session, err = client:login_with_otp(sam, nil, { otp_secret = SECRET })
    assert.is_nil(session)
    assert.is_truthy(err.reason:find("by sms", 1, true))
  end)

  it("does not give a code twice: a second login waits for the next step", function()
    local otp = require("filescom.otp")
    local secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR" -- not given away by this process yet
    standin:call("account", { username = "tess", secret = secret })
    local offset, slept = 0, 0
    local clock = {
      now = function()
        return os.time() + offset
      end,
      sleep = function(seconds)
        offset, slept = offset + seconds, slept + seconds
        standin:call("configure", { clock_offset = offset })
      end,
    }
    for _ = 1, 3 do
      assert(otp.login(client, TESS, nil, { otp_secret = secret }, clock))
    end
    assert.is_true(slept >= 29 and slept <= 60) -- the real clock moves too
    assert.are.equal(6, #standin:log())
  end)

  it("tries the next code where another process has used the current one", function()
    local otp, offset = require("filescom.otp"), 0
    local secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJS"
    standin:call("account", { username = "tess", secret = secret })
    assert(client:login_with_otp(TESS, function()
      return standin:code("tess", "totp")
    end))
    local session = assert(otp.login(client, TESS, nil, { otp_secret = secret }, {
      now = function()
        return os.time() + offset
      end,
      sleep = function(seconds)
        offset = offset + seconds
        standin:call("configure", { clock_offset = offset })
      end,
    }))
    assert.is_string(session.id)
  end)

  it("raises for a secret that is none before anything is sent", function()
    local ok, why = pcall(client.login_with_otp, client, TESS, nil, { otp_secret = "not base32!" })
    assert.is_false(ok)
    assert.is_truthy(why:find("base32", 1, true))
    assert.is_falsy(why:find("not base32!", 1, true))
    assert.are.equal(0, #standin:log())
    assert.has_error(function()
      client:login_with_otp(TESS, nil)
    end)
  end)
end)
