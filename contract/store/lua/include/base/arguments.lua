-- Arguments that come in pairs, as many as there are.

-- Walks through the pairs of arguments from a number on: for id, fence in argument_pairs(5) do … end.
local function argument_pairs(first)
  local i = first - 2
  return function()
    i = i + 2
    if ARGV[i] then return ARGV[i], ARGV[i + 1] end
  end
end
