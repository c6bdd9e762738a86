-- session:each(path [, options]): lists of the API, page by page.
-- Depends on filescom and the stand-in, whose /users come in pages.

local api = require("spec.support.api")
local filescom = require("filescom")
local support = require("spec.support.standin")

describe("a walk through a list", function()
  local standin, session

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    session = assert(filescom.new({ base_url = standin.http.base_url }):login(api.MOTOR))
    standin:call("clear_log")
  end)

  local function names_of(path, options)
    local names = {}
    for user in session:each(path, options) do
      names[#names + 1] = user.username
    end
    return table.concat(names, " ")
  end

  -- The error that a walk raises.
  local function failure_of(path, options)
    local ok, err = pcall(names_of, path, options)
    assert.is_false(ok)
    return err
  end

  it("gives the items of all pages, in their order", function()
    assert.are.equal("user1 user2 user3 user4 user5", names_of("/users", { query = { per_page = 2 } }))
    assert.are.equal(3, #standin:log())
  end)

  it("sends the query with each page, and the cursor that the last one named", function()
    names_of("/users?per_page=3")
    local log = standin:log()
    assert.are.equal("/api/rest/v1/users?per_page=3", log[1].target)
    assert.is_truthy(log[2].target:find("^/api/rest/v1/users%?per_page=3&cursor=%x+$"))
  end)

  it("asks for a page only when its items are wanted", function()
    for user in session:each("/users", { query = { per_page = 2 } }) do
      if user.id == 2 then
        break
      end
    end
    assert.are.equal(1, #standin:log())
  end)

  it("gives nothing for an empty list", function()
    standin:call("configure", { users = 0 })
    assert.are.equal("", names_of("/users"))
  end)

  it("goes on after an empty page that names another", function()
    standin:call("next_answers", { status = 200, body = "[]", headers = { ["X-Files-Cursor"] = "more" } })
    standin:call("next_answers", { status = 200, body = '[{"username":"late"}]' })
    assert.are.equal("late", names_of("/users"))
    assert.are.equal("/api/rest/v1/users?cursor=more", standin:last().target)
  end)

  it("begins at a cursor that the caller names", function()
    standin:call("next_answers", { status = 200, body = "[]" })
    names_of("/users", { query = { cursor = "here" } })
    assert.are.equal("/api/rest/v1/users?cursor=here", standin:last().target)
  end)

  it("sends the caller's headers and options with each page", function()
    names_of("/users", { query = { per_page = 3 }, workspace_id = 5, language = "fr", headers = { ["X-A"] = "b" } })
    for _, entry in ipairs(standin:log()) do
      assert.are.equal("5", entry.header["x-files-workspace-id"])
      assert.are.equal("fr", entry.header["accept-language"])
      assert.are.equal("b", entry.header["x-a"])
    end
  end)

  it("leaves the caller's tables alone", function()
    local options = { query = { per_page = 2 } }
    names_of("/users", options)
    assert.are.same({ query = { per_page = 2 } }, options)
  end)

  it("raises the error of a page that cannot be had, as a table", function()
    local err = failure_of("/folders/nowhere")
    assert.are.equal("not-found/file-not-found", err.type)
    assert.are.equal(404, err.status)
  end)

  it("raises the error of a later page after the items of those before it", function()
    local seen = 0
    local ok, err = pcall(function()
      for _ in session:each("/users", { query = { per_page = 2 } }) do
        seen = seen + 1
        if seen == 2 then
          standin:call("revoke")
        end
      end
    end)
    assert.is_false(ok)
    assert.are.equal("not-authenticated/invalid-session", err.type)
    assert.are.equal(2, seen)
  end)

  it("raises an error where the answer is no list", function()
    standin:call("next_answers", { status = 200, body = "5" })
    assert.are.equal("response/not-a-list", failure_of("/users").type)
  end)

  it("raises an error where the service names one page again and again", function()
    standin:call("next_answers", { count = 9, status = 200, body = "[{}]", headers = { ["X-Files-Cursor"] = "same" } })
    assert.are.equal("response/not-a-list", failure_of("/users").type)
    assert.are.equal(2, #standin:log())
  end)

  it("raises at the caller's place for a wrong option, before anything is sent", function()
    assert.are.equal("unknown option 'raw'", api.raised_here(function()
      local walk = session:each("/users", { raw = true })
      return walk
    end))
    assert.are.equal(0, #standin:log())
  end)
end)
