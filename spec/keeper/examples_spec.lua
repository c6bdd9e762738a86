-- The examples of keepers, run: the cron script, the proxy, and a fleet of two on one Redis.
-- Depends on nginx, redis-server, LuaSocket and the stand-in.

local http = require("socket.http")
local nginx = require("spec.support.nginx")
local redis = require("spec.keeper.redis")
local support = require("spec.support.standin")

describe("the example", function()
  local standin, database, directory

  setup(function()
    standin = support.start({ "http" })
    database = redis.start()
  end)

  teardown(function()
    standin:stop()
    database:stop()
  end)

  before_each(function()
    standin:reset()
    directory = nginx.directory()
    nginx.write(directory .. "/password", "vroom\n")
    -- Started by root, nginx's workers are another user.
    os.execute(("chmod 755 '%s' && chmod 644 '%s/password'"):format(directory, directory))
    nginx.write(directory .. "/secret", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n")
  end)

  after_each(function()
    os.execute("rm -rf '" .. directory .. "'")
  end)

  local function logins()
    local count = 0
    for _, entry in ipairs(standin:log()) do
      count = count + (entry.method == "POST" and 1 or 0)
    end
    return count
  end

  local function environment(more)
    return ("FILES_USERNAME=motor FILES_PASSWORD_FILE='%s/password' FILES_BASE_URL=%s %s"):format(
      directory, standin.http.base_url, more or "")
  end

  local function output_of(command)
    local pipe = assert(io.popen(command .. " 2>&1"))
    local text = pipe:read("*a")
    pipe:close()
    return text
  end

  it("cron.lua logs in once for all its runs", function()
    local command = ("%s lua5.4 examples/cron.lua"):format(environment("FILES_STORE='" .. directory .. "/store'"))
    assert.is_truthy(output_of(command):find("directory\tinbox", 1, true))
    for _ = 1, 3 do
      local text = output_of(command)
      assert.is_truthy(text:find("directory\tinbox", 1, true), text)
    end
    assert.are.equal(1, logins())
    standin:call("revoke", {})
    assert.is_truthy(output_of(command):find("directory\tinbox", 1, true))
    assert.are.equal(2, logins())
  end)

  it("cron.lua answers a second factor by itself", function()
    nginx.write(directory .. "/password", "tick-tock\n")
    local text = output_of(environment(("FILES_STORE='%s/store' FILES_OTP_SECRET_FILE='%s/secret' FILES_USERNAME=tess")
      :format(directory, directory)) .. " lua5.4 examples/cron.lua")
    assert.is_truthy(text:find("directory\tinbox", 1, true), text)
  end)

  -- The number of answers of each status to visits of ports.
  local function visit(ports, count)
    local statuses = {}
    for i = 1, count do
      local _, status = http.request(("http://127.0.0.1:%d/reports"):format(ports[i % #ports + 1]))
      statuses[status] = (statuses[status] or 0) + 1
    end
    return statuses
  end

  -- Starts the proxy once for each port by examples/fleet/start, and runs a function meanwhile.
  local function with_proxies(ports, more, run)
    local upstream = standin.http.base_url:match("//([^/]+)")
    local command = ("echo $$; exec env %s FILES_UPSTREAM=%s examples/fleet/start %s >'%s/output' 2>&1"):format(
      environment(more), upstream, table.concat(ports, " "), directory)
    local process = assert(io.popen(command))
    local pid = process:read("*l")
    local ok, why = pcall(function()
      nginx.eventually("the proxies listen", 10, function()
        for _, port in ipairs(ports) do
          if not http.request(("http://127.0.0.1:%d/"):format(port)) then
            return false
          end
        end
        return true
      end)
      run()
    end)
    os.execute("kill " .. pid)
    process:close()
    assert(ok, why)
  end

  it("nginx-proxy serves a folder with one session, and replaces it", function()
    local ports = { nginx.free_port() }
    with_proxies(ports, nil, function()
      assert.are.same({ [200] = 20 }, visit(ports, 20))
      assert.are.equal(1, logins())
      standin:call("revoke", {})
      assert.are.same({ [200] = 20 }, visit(ports, 20))
      assert.are.equal(2, logins())
      assert.are.equal(405, select(2, http.request(("http://127.0.0.1:%d/reports"):format(ports[1]), "a=b")))
    end)
  end)

  it("nginx-proxy passes on nothing of a visitor's but the path and two arguments, and no other folder", function()
    local ports = { nginx.free_port() }
    with_proxies(ports, nil, function()
      local function get(target)
        local _, status = http.request({
          url = ("http://127.0.0.1:%d%s"):format(ports[1], target),
          headers = { ["X-FilesAPI-Key"] = "a visitor's", ["X-FilesAPI-Auth"] = "a visitor's", Cookie = "a=b" },
        })
        return status
      end
      assert.are.equal(404, get("/reports-of-others"))
      assert.are.equal(404, get("/reports/..%2finbox"))
      assert.are.equal(404, get("/api/rest/v1/user"))
      assert.are.equal(200, get("/reports?per_page=5&path=inbox"))
      local journal = standin:log()
      assert.are.equal(2, #journal) -- the login, and the one that is allowed
      assert.are.equal("/api/rest/v1/folders/reports?per_page=5", journal[2].target)
      local names = {}
      for i, header in ipairs(journal[2].headers) do
        names[i] = header[1]:lower()
        assert.is_nil(header[2]:find("visitor", 1, true))
      end
      table.sort(names)
      assert.are.equal("accept host x-filesapi-auth", table.concat(names, " "))
    end)
  end)

  it("nginx-proxy answers 503 while nobody can log in", function()
    nginx.write(directory .. "/password", "wrong\n")
    local ports = { nginx.free_port() }
    with_proxies(ports, nil, function()
      assert.are.same({ [503] = 10 }, visit(ports, 10))
      assert.are.equal(1, logins())
    end)
  end)

  it("fleet shares one session by Redis", function()
    local ports = { nginx.free_port(), nginx.free_port() }
    with_proxies(ports, "FILES_REDIS_PORT=" .. database.port, function()
      assert.are.same({ [200] = 40 }, visit(ports, 40))
      assert.are.equal(1, logins())
    end)
  end)
end)
