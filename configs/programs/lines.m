% Logistic growth as a program that stays: a JSON line in, a JSON line out (protocol: lines).
% Replace `simulate`; the rest can stay as it is. It needs Octave 7 or newer.
1;                                       % says that this file is a script

% ---- your model: replace this function ----
% A struct with a vector for each observable, one value for each time; p is a struct of the
% parameters, times a column vector.
function observables = simulate (p, times)
  if (p.x0 <= 0)
    error ("x0 must be positive");       % any error makes this one draw fail
  end
  observables.x = p.K ./ (1 + (p.K / p.x0 - 1) * exp (-p.r * times));
end
% ---- end of your model ----

if (! exist ("jsondecode"))
  fputs (stderr, "lines.m needs jsondecode: Octave 7 or newer\n");
  exit (1);
end

% The next line; -1 at the end of the input. (fgetl would wait for the line after it.)
function text = next_line ()
  try
    text = input ("", "s");
  catch
    text = -1;
  end
end

text = next_line ();
if (! ischar (text))
  exit (0);
end
experiments = struct2cell (jsondecode (text).experiments);
times = experiments{1}.times;

while (ischar (text = next_line ()))
  draw = jsondecode (text);
  try
    p = draw.parameters;
    printed = evalc ("observables = simulate (p, times);");
    fputs (stderr, printed);             % what the model prints cannot spoil an answer
    lists = structfun (@(v) num2cell (v(:)'), observables, "UniformOutput", false);
    answer = struct ("observables", lists);
  catch problem
    answer = struct ("error", problem.message);
  end
  if (isfield (draw, "id"))
    answer.id = draw.id;                 % which question it answers
  end
  puts ([jsonencode(answer), "\n"]);
  fflush (stdout);
end
