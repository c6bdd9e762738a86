---@meta filescom.loop.cqueues

---Waiting in the controllers of cqueues: what the option `loop` of a client is given.
---@type filescom.LoopAdapter
local cqueues = {}

return cqueues
