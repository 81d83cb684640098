-- What differs between versions that work beside each other. CONTRACT, the number of this version's contract, stands
-- before all includes: `contract/version.py`.

-- What was written without a number is of the first contract.
local function contract_of(text) return tonumber(string.match(text or '', '^%d+') or 1) end

-- Each contract has lists of its own, so that a worker hears no bell of a job that it cannot do.
local function list_key(priority, contract)
  local name = contract > 1 and 'darkroom:bells-' .. contract or 'darkroom:bells'
  return tonumber(priority) == 0 and name or name .. ':' .. priority
end

-- Under which name it is known how far a list was served.
local function served_field(priority, contract) return contract > 1 and contract .. ':' .. priority or priority end
