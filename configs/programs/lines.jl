# Logistic growth as a program that stays: a JSON line in, a JSON line out (protocol: lines).
# Replace `simulate`; the rest can stay as it is. It needs the package JSON.

try
    @eval using JSON
catch
    println(stderr, "lines.jl needs the package JSON: julia -e 'using Pkg; Pkg.add(\"JSON\")'")
    exit(1)
end

# ---- your model: replace this function ----
# A vector for each observable, with one value for each time; p has the parameters by name.
function simulate(p, times)
    r, K, x0 = p["r"], p["K"], p["x0"]
    x0 > 0 || error("x0 must be positive")           # any exception makes this one draw fail
    return Dict("x" => @. K / (1 + (K / x0 - 1) * exp(-r * times)))
end
# ---- end of your model ----

number(value) = value isa AbstractVector ? Float64.(value) : Float64(value)
json_number(value) = isfinite(value) ? value : nothing    # JSON has no NaN; it has null

function answer(draw, times)
    id = get(draw, "id", nothing)       # which question it answers
    try
        p = Dict(name => number(value) for (name, value) in draw["parameters"])
        observables = Dict(k => json_number.(v) for (k, v) in simulate(p, times))
        return Dict("id" => id, "observables" => observables)
    catch problem
        return Dict("id" => id, "error" => sprint(showerror, problem))
    end
end

function main()
    eof(stdin) && return
    start = JSON.parse(readline(stdin))
    times = number(start["experiments"][""]["times"])
    answers = stdout
    redirect_stdout(stderr)             # so that a print in the model cannot spoil an answer
    for line in eachline(stdin)
        println(answers, JSON.json(answer(JSON.parse(line), times)))
        flush(answers)
    end
end

main()
