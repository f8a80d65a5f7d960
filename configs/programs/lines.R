# Logistic growth as a program that stays: a JSON line in, a JSON line out (protocol: lines).
# Replace `simulate`; the rest can stay as it is. It needs the package jsonlite.

# ---- your model: replace this function ----
# A list with a vector for each observable, one value for each time; p is a list of the parameters.
simulate <- function(p, times) {
  if (p[["x0"]] <= 0) stop("x0 must be positive")    # any error makes this one draw fail
  list(x = with(p, K / (1 + (K / x0 - 1) * exp(-r * times))))
}
# ---- end of your model ----

if (!requireNamespace("jsonlite", quietly = TRUE)) {
  message('lines.R needs the package jsonlite: in R, install.packages("jsonlite")')
  quit(status = 1)
}

# What the model prints goes to stderr, so that it cannot spoil an answer.
quietly <- function(value) {
  sink(stderr())
  on.exit(sink())
  force(value)
}

input <- file("stdin", "r")
first <- readLines(input, n = 1)
if (length(first) == 0) quit(status = 0)
start <- jsonlite::parse_json(first, simplifyVector = TRUE)
times <- as.numeric(start$experiments[[1]]$times)

repeat {
  line <- readLines(input, n = 1)
  if (length(line) == 0) break                       # the end of the input
  draw <- jsonlite::parse_json(line, simplifyVector = TRUE)
  answer <- tryCatch({
    list(observables = quietly(simulate(draw$parameters, times)))
  }, error = function(problem) list(error = jsonlite::unbox(conditionMessage(problem))))
  answer$id <- jsonlite::unbox(draw$id)              # which question it answers
  cat(jsonlite::toJSON(answer, digits = NA, na = "null"), "\n", sep = "")
  flush(stdout())
}
