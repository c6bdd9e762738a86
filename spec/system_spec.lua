-- What filescom.core has for keeping a session between runs: waiting, private files and directories, locks of files.
-- Depends on filescom.core, LuaFileSystem, LuaSocket and POSIX.

local api = require("spec.support.api")
local core = require("filescom.core")
local lfs = require("lfs")
local socket = require("socket")

local IS_ROOT = api.output_of("id -u"):match("^0")

describe("filescom.core:", function()
  local directory

  before_each(function()
    directory = api.output_of('mktemp -d "${TMPDIR:-/tmp}/filescom-system.XXXXXX"'):match("^[^\n]+")
  end)

  after_each(function()
    os.execute("rm -rf '" .. directory .. "'")
  end)

  local function path_of(name)
    return directory .. "/" .. name
  end

  local function run(command, ...)
    os.execute(command:format(...))
  end

  -- The reason for which something was refused.
  local function refusal(result, why)
    assert.is_nil(result)
    assert.is_string(why)
    return why
  end

  local function assert_says(text, result, why)
    assert.is_truthy(refusal(result, why):find(text, 1, true), why)
  end

  describe("sleep", function()
    it("waits for parts of a second, and for none that is over", function()
      local from = socket.gettime()
      core.sleep(0.05)
      assert.is_true(socket.gettime() - from >= 0.049)
      core.sleep(0)
      core.sleep(-1)
    end)

    it("refuses what is no time", function()
      for _, wrong in ipairs({ 0 / 0, 1 / 0, 1e9 }) do
        assert.has_error(function()
          core.sleep(wrong)
        end)
      end
      assert.has_error(function()
        core.sleep("long")
      end)
    end)
  end)

  describe("a private directory", function()
    it("is made for this user alone, whatever the umask", function()
      assert.is_true(core.private_directory(path_of("new")))
      assert.are.equal("rwx------", lfs.attributes(path_of("new")).permissions)
      assert.is_true(core.private_directory(path_of("new")))
    end)

    it("is refused where it is open to others, a file or a link", function()
      run("mkdir -m 755 '%s'", path_of("open"))
      assert_says("its mode must be 0700", core.private_directory(path_of("open")))
      run("touch '%s'", path_of("file"))
      assert_says("it is no directory", core.private_directory(path_of("file")))
      run("mkdir -m 700 '%s' && ln -s '%s' '%s'", path_of("private"), path_of("private"), path_of("link"))
      assert_says("it is no directory", core.private_directory(path_of("link")))
    end)

    it("is refused where its parent is missing, by name", function()
      assert_says(path_of("missing/new") .. ": its parent directory does not exist",
        core.private_directory(path_of("missing/new")))
    end)

    if IS_ROOT then
      it("is refused where it is another user's", function()
        run("mkdir -m 700 '%s' && chown 65534 '%s'", path_of("theirs"), path_of("theirs"))
        assert_says("another user", core.private_directory(path_of("theirs")))
      end)
    end
  end)

  describe("a private file", function()
    it("is made with its text, mode 0600 and any bytes", function()
      local text = "\0\1\255\n" .. ("x"):rep(300000)
      assert.is_true(core.create_private(path_of("a"), text))
      assert.are.equal("rw-------", lfs.attributes(path_of("a")).permissions)
      assert.are.equal(text, core.read_private(path_of("a")))
    end)

    it("is never made where there is something, nor through a link", function()
      assert.is_true(core.create_private(path_of("a"), "first"))
      refusal(core.create_private(path_of("a"), "second"))
      assert.are.equal("first", core.read_private(path_of("a")))
      run("ln -s '%s' '%s'", path_of("elsewhere"), path_of("link"))
      refusal(core.create_private(path_of("link"), "text"))
      assert.is_nil(lfs.attributes(path_of("elsewhere")))
    end)

    it("leaves nothing behind where the disk is full", function()
      local path = os.tmpname()
      local code = 'io.write(tostring(select(2, require("filescom.core").create_private(%q, ("x"):rep(2000000)))))'
      local file = assert(io.open(path, "w"))
      file:write(code:format(path_of("a")))
      file:close()
      -- A limit on the size of files stands for the disk; its signal ignored, writing fails.
      local command = "trap '' XFSZ; ulimit -f 1; %s %s 2>&1"
      assert.is_truthy(api.output_of(command:format(api.quoted(api.interpreter()), path)):find("large", 1, true))
      os.remove(path)
      assert.is_nil(lfs.attributes(path_of("a")))
    end)

    it("reads as nothing where there is none", function()
      local text, why = core.read_private(path_of("a"))
      assert.is_nil(text)
      assert.is_nil(why)
    end)

    it("is not read where it is a link, a pipe, a directory, open to others or too large", function()
      run("ln -s /etc/passwd '%s'; mkfifo -m 600 '%s'; mkdir '%s'", path_of("link"), path_of("pipe"), path_of("dir"))
      run("touch '%s' && chmod 604 '%s'", path_of("open"), path_of("open"))
      run("truncate -s 1048577 '%s' && chmod 600 '%s'", path_of("large"), path_of("large"))
      assert_says("symbolic link", core.read_private(path_of("link")))
      assert_says("no regular file", core.read_private(path_of("pipe")))
      assert_says("no regular file", core.read_private(path_of("dir")))
      assert_says("open to others, its mode must be 0600", core.read_private(path_of("open")))
      assert_says("larger than 1 MiB", core.read_private(path_of("large")))
    end)

    if IS_ROOT then
      it("is not read where it is another user's", function()
        core.create_private(path_of("a"), "text")
        run("chown 65534 '%s'", path_of("a"))
        assert_says("another user", core.read_private(path_of("a")))
      end)
    end

    it("has no zero byte in its path", function()
      for _, call in ipairs({ "create_private", "read_private", "lock_file", "private_directory" }) do
        local ok, why = pcall(core[call], path_of("a\0b"), "text")
        assert.is_false(ok)
        assert.is_truthy(why:find("zero byte", 1, true))
      end
      assert.is_nil(lfs.attributes(path_of("a")))
    end)
  end)

  describe("a lock", function()
    -- Whether another process can have it at once.
    local function is_free(path)
      return api.output_of(("flock -n '%s' echo free"):format(path)):find("free", 1, true) ~= nil
    end

    it("keeps other processes out until it is closed, and closes twice", function()
      local lock = assert(core.lock_file(path_of("guard")))
      assert.are.equal("rw-------", lfs.attributes(path_of("guard")).permissions)
      assert.is_false(is_free(path_of("guard")))
      lock:close()
      assert.is_true(is_free(path_of("guard")))
      lock:close()
    end)

    it("is freed by the collector where an error was raised", function()
      pcall(function()
        local lock = core.lock_file(path_of("guard")) -- luacheck: ignore 211
        error("raised")
      end)
      collectgarbage()
      collectgarbage()
      assert.is_true(is_free(path_of("guard")))
    end)

    it("is waited for while another process holds it", function()
      core.create_private(path_of("guard"), "")
      local holder = io.popen(("flock '%s' sh -c 'echo held; sleep 0.3'"):format(path_of("guard")))
      holder:read("*l")
      local from = socket.gettime()
      local lock = assert(core.lock_file(path_of("guard")))
      assert.is_true(socket.gettime() - from > 0.1)
      lock:close()
      holder:close()
    end)

    it("is not waited for without end", function()
      local holder = assert(core.lock_file(path_of("guard")))
      local from = socket.gettime()
      assert_says("keeps it locked", core.lock_file(path_of("guard"), 0.1))
      assert.is_true(socket.gettime() - from >= 0.1)
      holder:close()
    end)

    it("is of the file that the path leads to, where another was removed meanwhile", function()
      local holder = assert(core.lock_file(path_of("guard")))
      os.remove(path_of("guard"))
      local lock = assert(core.lock_file(path_of("guard")))
      assert.is_false(is_free(path_of("guard")))
      holder:close()
      assert.is_false(is_free(path_of("guard")))
      lock:close()
    end)

    it("is refused where its file is open to others, or a link", function()
      run("touch '%s' && chmod 644 '%s'", path_of("open"), path_of("open"))
      assert_says("its mode must be 0600", core.lock_file(path_of("open")))
      run("ln -s /etc/passwd '%s'", path_of("link"))
      assert_says("symbolic link", core.lock_file(path_of("link")))
    end)
  end)
end)
