-- Written by Dagfleet (role mesh). Keeps a connection waiting until a host's database is open.
core.register_action("wait-for-database", { "tcp-req" }, function(txn)
    local function open(name, server)
        if name == "nobody" then
            return false
        end
        local stats = server:get_stats()
        return stats and string.sub(stats["status"], 1, 2) == "UP"
    end
    while true do
        for name, server in pairs(core.backends["db"].servers) do
            if open(name, server) then
                return
            end
        end
        core.sleep(1)
    end
end, 0)
