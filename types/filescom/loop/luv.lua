---@meta filescom.loop.luv

---Waiting in libuv's loop, by luv: what the option `loop` of a client is given.
---@type filescom.LoopAdapter
local luv = {}

return luv
