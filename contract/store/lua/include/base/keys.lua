-- The names of all keys. In the comments {o} is the digest of an owner, {id} a job, {m} the digest of a model.
local QUEUED = 'darkroom:queued'        -- ready jobs, scored by the order they are served in
local WAITING = 'darkroom:waiting'      -- queued jobs that must not start before their score
local RUNNING = 'darkroom:running'      -- running jobs, scored by the end of their lease
local DEADLINES = 'darkroom:deadlines'  -- queued jobs, scored by when they expire
local PARKED = 'darkroom:parked'        -- queued jobs whose owner has no room for them, scored by their turn
local BACKLOGS = 'darkroom:backlogs'    -- owners of parked jobs, scored by when a sweep has looked at them
local UNRUNG = 'darkroom:unrung'        -- jobs that have become ready and have no bell yet
local SERVED = 'darkroom:served'        -- how far each list of bells was served
local JOURNAL = 'darkroom:journal'      -- each move of each job, without what was asked for and by whom
local WEBHOOKS = 'darkroom:webhooks'    -- ended jobs whose webhook is not delivered, scored by when it is due
local WORKERS = 'darkroom:workers'      -- workers, scored by when they renewed their leases
local SLOTS = 'darkroom:slots'          -- how many jobs each worker runs at a time
local VERSIONS = 'darkroom:versions'    -- each worker's contract number and version
local SWEEPER = 'darkroom:lock:sweeper' -- the worker that sweeps
local CONTACT = 'darkroom:contact'      -- when sweepers reached Redis last, and since when without a gap
local DELETING = 'darkroom:deleting'    -- deleted jobs whose images are not removed yet, with their owner and hash
local PRESENCE = 'darkroom:presence'    -- jobs that end when no client waits for them, scored by the end of the last note of one
local GATEWAY_CONTACT = 'darkroom:gateway_contact'  -- when gateways reached Redis last, and since when without a gap
local DAMAGED = 'darkroom:damaged'      -- damaged jobs that have ended, and may stand in the lists of their owners
local LIVE = 'darkroom:live'            -- bytes of jobs that are not over, by owner, and of all
local KEPT = 'darkroom:kept'            -- bytes of what is remembered of others, by owner, and of all
local UPLOADS = 'darkroom:uploads'      -- uploads of all owners, scored by when they expire
local BREAKERS = 'darkroom:breakers'    -- open circuit breakers, scored by when they opened
local PIDBOXES = 'darkroom:_kombu.binding.celery.pidbox'  -- Celery's table of the mailboxes of workers

local function job_key(id) return 'darkroom:job:' .. id end

local function events_key(id) return 'darkroom:job:' .. id .. ':events' end

-- What an owner has: jobs active parked running kept awaited marks uploads sessions sessions_in_use streams, spent:{day}
-- upload:{sha256} uploads_gone:{day} latest:{conversation}.
local function owner_key(owner, what) return 'darkroom:owner:' .. owner .. ':' .. what end

local function idempotency_key(owner, key) return 'darkroom:idem:' .. owner .. ':' .. key end

local function deleted_key(id) return 'darkroom:deleted:' .. id end

-- The gateways at which clients wait for a job, scored by when the note of it runs out.
local function presence_key(id) return 'darkroom:presence:' .. id end

local function mail_key(mailbox) return 'darkroom:mail:' .. mailbox end

-- The way to one provider with one key: `gate:{g}`, and `gate:{g}:{m}` and `gate:{g}:{m}:{o}` for a model and an owner.
local function gate_key(name) return 'darkroom:gate:' .. name end

local function image_key(artifact) return 'darkroom:image:' .. artifact end
