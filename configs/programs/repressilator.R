# The repressilator of configs/repressilator.yaml in R, as a program that stays (protocol: lines).
# It needs the packages jsonlite and deSolve.

# ---- your model: replace these functions ----
slope <- function(t, x, p) {
  list(exp(p$s - x) / (1 + exp(p$h * x[c(3, 1, 2)])) - exp(p$d))
}

# A list with a vector for each observable, one value for each time; p is a list of the parameters.
simulate <- function(p, times) {
  by_gene <- lapply(c(s = "s", d = "d", h = "h"), function(name) unlist(p[paste0(name, 1:3)]))
  from_start <- sort(unique(c(0, times)))
  found <- deSolve::lsoda(c(0, log(1.2), 0), from_start, slope, by_gene, rtol = 1e-8, atol = 1e-8)
  if (attr(found, "istate")[1] != 2) stop("lsoda does not get to the end")
  list(x1 = found[match(times, from_start), 2])
}
# ---- end of your model ----

for (package in c("jsonlite", "deSolve")) {
  if (!requireNamespace(package, quietly = TRUE)) {
    message(sprintf('repressilator.R needs a package: in R, install.packages("%s")', package))
    quit(status = 1)
  }
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
