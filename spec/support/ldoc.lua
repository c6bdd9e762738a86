-- A filter for LDoc: `ldoc --filter spec.support.ldoc.list .` prints what its pages tell of, one item a line: the
-- module, the kind, the name, the parameters. Depends on nothing; runs on the Lua that runs LDoc.

local filter = {}

function filter.list(modules)
  for _, module in ipairs(modules) do
    for _, item in ipairs(module.type == "module" and module.items or {}) do
      print(table.concat({ module.name, item.type, item.name, table.concat(item.params or {}, ",") }, "\t"))
    end
  end
end

return filter
