---@meta filescom.loop.copas

---Waiting in Copas: what the option `loop` of a client is given.
---@type filescom.LoopAdapter
local copas = {}

return copas
