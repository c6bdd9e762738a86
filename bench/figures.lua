-- Figures: medians, ratios of turns that belong together, and tables. Depends on Lua alone.

local figures = {}

local function sorted(values)
  local copy = table.move(values, 1, #values, 1, {})
  table.sort(copy)
  return copy
end

-- The value below which a share of all are, between two of them where it falls there.
local function quantile(values, share)
  local all = sorted(values)
  local place = 1 + (#all - 1) * share
  local below = math.floor(place)
  return all[below] + (all[math.min(below + 1, #all)] - all[below]) * (place - below)
end

function figures.median(values)
  return quantile(values, 0.5)
end

--- The ratios of values that were taken in the same turn.
function figures.ratios(values, references)
  local ratios = {}
  for i, value in ipairs(values) do ratios[i] = value / references[i] end
  return ratios
end

--- The middle half of some ratios, as text.
function figures.spread(ratios)
  return ("%.2f-%.2f"):format(quantile(ratios, 0.25), quantile(ratios, 0.75))
end

--- Prints rows of texts as a Markdown table; the first row is its head.
function figures.print_table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 3, #text) end
  end
  local rule = {}
  for i, width in ipairs(widths) do rule[i] = ("-"):rep(width - 1) .. (i == 1 and "-" or ":") end
  table.insert(rows, 2, rule)
  for _, row in ipairs(rows) do
    local cells = {}
    for i, text in ipairs(row) do
      local fill = (" "):rep(widths[i] - #text)
      cells[i] = i == 1 and text .. fill or fill .. text
    end
    print("| " .. table.concat(cells, " | ") .. " |")
  end
  print()
end

return figures
