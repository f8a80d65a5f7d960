/* The repressilator of configs/repressilator.yaml, integrated here.
   As a program that stays (protocol: lines):  repressilator
   One call a draw (answer: table):            repressilator --once TIMES s1 s2 ... h3
   To compile:  cc -O2 -o repressilator repressilator.c -lm */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- your model: its parameters, its states and their derivatives ---- */
enum { S1, S2, S3, D1, D2, D3, H1, H2, H3, PARAMETERS };
static const char *const parameter_names[PARAMETERS] = {
    "s1", "s2", "s3", "d1", "d2", "d3", "h1", "h2", "h3"};
enum { X1, X2, X3, OBSERVABLES };                    /* every state is an observable */
static const char *const observable_names[OBSERVABLES] = {"x1", "x2", "x3"};
static const double start_time = 0.0;

static void start_values(const double p[], double x[])
{
    (void)p;
    x[X1] = 0.0;
    x[X2] = log(1.2);
    x[X3] = 0.0;
}

static void slope(const double p[], double t, const double x[], double dx[])
{
    (void)t;
    dx[X1] = exp(p[S1] - x[X1]) / (1.0 + exp(p[H1] * x[X3])) - exp(p[D1]);
    dx[X2] = exp(p[S2] - x[X2]) / (1.0 + exp(p[H2] * x[X1])) - exp(p[D2]);
    dx[X3] = exp(p[S3] - x[X3]) / (1.0 + exp(p[H3] * x[X2])) - exp(p[D3]);
}
/* ---- end of your model ---- */

/* The method of Dormand and Prince, of order 5 with an error of order 4. */
static const double nodes[7] = {0.0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1.0, 1.0};
static const double stages[7][6] = {
    {0.0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0.0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}};
static const double errors[7] = {
    71.0 / 57600, 0.0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};
static const double tolerance = 1e-10;               /* of a step, absolute and relative */
static const int most_steps = 1000000;

/* One step from x, whose slope is k[0]; new_x has the slope k[6]. Returns the error over what is
   tolerated. */
static double dormand_prince(const double p[], double t, const double x[], double step,
                             double k[7][OBSERVABLES], double new_x[])
{
    for (int i = 1; i < 7; i++) {
        for (int j = 0; j < OBSERVABLES; j++) {
            double sum = 0.0;
            for (int l = 0; l < i; l++)
                sum += stages[i][l] * k[l][j];
            new_x[j] = x[j] + step * sum;
        }
        slope(p, t + nodes[i] * step, new_x, k[i]);
    }
    double worst = 0.0;
    for (int j = 0; j < OBSERVABLES; j++) {
        double sum = 0.0;
        for (int i = 0; i < 7; i++)
            sum += errors[i] * k[i][j];
        double error = fabs(step * sum) / (tolerance * (1.0 + fmax(fabs(x[j]), fabs(new_x[j]))));
        if (!isfinite(error) || !isfinite(new_x[j]))
            return HUGE_VAL;                         /* the step is too long */
        worst = fmax(worst, error);
    }
    return worst;
}

/* values[X][i] is state X at times[i]; times must not go back. Returns NULL, or why it fails. */
static const char *simulate(const double p[], const double times[], int n, double *values[])
{
    double t = start_time, step = 1e-3, x[OBSERVABLES], new_x[OBSERVABLES], k[7][OBSERVABLES];
    int steps = 0;
    start_values(p, x);
    slope(p, t, x, k[0]);
    for (int i = 0; i < n; i++) {
        if (!(times[i] >= t))
            return "the times must ascend from the start";
        while (t < times[i]) {
            if (++steps > most_steps)
                return "too many steps";
            double left = times[i] - t, length = fmin(step, left);
            double error = dormand_prince(p, t, x, length, k, new_x);
            double factor = error > 0.0 ? fmin(5.0, 0.9 * pow(error, -0.2)) : 5.0;
            if (error <= 1.0) {
                t = length == left ? times[i] : t + length;
                memcpy(x, new_x, sizeof x);
                memcpy(k[0], k[6], sizeof k[0]);
                if (length == step || factor < 1.0)  /* a step cut short says little of the next */
                    step = length * factor;
            } else {
                step = length * fmax(factor, 0.1);
            }
        }
        for (int j = 0; j < OBSERVABLES; j++)
            values[j][i] = x[j];
    }
    return NULL;
}

#define SPACE " \t\r\n"

static void *allocate(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* The next line, of any length; NULL at the end. It is overwritten by the next call. */
static const char *read_line(FILE *file)
{
    static char *line = NULL;
    static size_t room = 0;
    size_t length = 0;
    for (;;) {
        if (length + 1 >= room) {
            room = room > 0 ? 2 * room : 4096;
            line = allocate(line, room);
        }
        int c = getc(file);
        if (c == EOF && length == 0)
            return NULL;
        if (c == EOF || c == '\n')
            break;
        line[length++] = (char)c;
    }
    line[length] = '\0';
    return line;
}

/* Where the value of a key of the JSON object begins; NULL if it has no such key. */
static const char *member(const char *object, const char *key)
{
    int depth = 0;
    if (object == NULL)
        return NULL;
    for (const char *at = object; *at != '\0'; at++) {
        if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (--depth <= 0)
                return NULL;
        } else if (*at == '"') {
            const char *text = ++at;
            while (*at != '"') {
                if (*at == '\\' && at[1] != '\0')
                    at++;
                if (*at == '\0')
                    return NULL;
                at++;
            }
            size_t length = (size_t)(at - text);
            bool same = length == strlen(key) && memcmp(text, key, length) == 0;
            const char *next = at + 1 + strspn(at + 1, SPACE);
            if (depth == 1 && same && *next == ':')
                return next + 1 + strspn(next + 1, SPACE);
        }
    }
    return NULL;
}

/* The numbers of a JSON list, n of them; NULL if it is none. Of use for vector parameters too. */
static double *number_list(const char *json, int *n)
{
    if (json == NULL || *json != '[')
        return NULL;
    size_t room = 1;
    for (const char *at = json; *at != '\0' && *at != ']'; at++)
        room += *at == ',';
    double *numbers = allocate(NULL, room * sizeof *numbers);
    *n = 0;
    for (;;) {
        char *end;
        numbers[*n] = strtod(++json, &end);
        if (end == json)
            break;
        ++*n;
        json = end + strspn(end, SPACE);
        if (*json == ']')
            return numbers;
        if (*json != ',')
            break;
    }
    free(numbers);
    return NULL;
}

/* The parameters of a draw's line. Returns NULL, or what is wrong with it. */
static const char *read_parameters(const char *line, double p[])
{
    static char problem[200];
    const char *object = member(line, "parameters");
    for (int i = 0; i < PARAMETERS; i++) {
        const char *text = member(object, parameter_names[i]);
        char *end = NULL;
        if (text != NULL)
            p[i] = strtod(text, &end);
        if (text == NULL || end == text) {
            snprintf(problem, sizeof problem, "no number for parameter %s", parameter_names[i]);
            return problem;
        }
    }
    return NULL;
}

/* Which question it is: the answer repeats it. */
static long number_of(const char *line)
{
    const char *id = member(line, "id");
    return id == NULL ? 0 : strtol(id, NULL, 10);
}

static void write_error(long id, const char *why)
{
    printf("{\"id\": %ld, \"error\": \"", id);
    for (; *why != '\0'; why++)
        putchar(*why == '"' || *why == '\\' || (unsigned char)*why < ' ' ? ' ' : *why);
    fputs("\"}\n", stdout);
}

static void write_observables(long id, double *values[], int n)
{
    printf("{\"id\": %ld, \"observables\": {", id);
    for (int k = 0; k < OBSERVABLES; k++) {
        printf("%s\"%s\": [", k > 0 ? ", " : "", observable_names[k]);
        for (int i = 0; i < n; i++) {
            if (i > 0)
                fputs(", ", stdout);
            if (isfinite(values[k][i]))
                printf("%.17g", values[k][i]);
            else
                fputs("null", stdout);
        }
        putchar(']');
    }
    fputs("}}\n", stdout);
}

/* Answer every line with a line until the input ends. */
static int stay(void)
{
    const char *line = read_line(stdin);
    if (line == NULL)
        return 0;
    int n;
    double *times = number_list(member(member(member(line, "experiments"), ""), "times"), &n);
    if (times == NULL) {
        fputs("no times in the first line\n", stderr);
        return 1;
    }
    double *values[OBSERVABLES];
    for (int k = 0; k < OBSERVABLES; k++)
        values[k] = allocate(NULL, (size_t)n * sizeof *values[k]);

    while ((line = read_line(stdin)) != NULL) {
        double p[PARAMETERS];
        const char *problem = read_parameters(line, p);
        if (problem == NULL)
            problem = simulate(p, times, n, values);
        if (problem != NULL)
            write_error(number_of(line), problem);
        else
            write_observables(number_of(line), values, n);
        fflush(stdout);
    }
    return 0;
}

/* Write the table of one draw: arguments are the file of the times, then the parameters. */
static int once(char *arguments[])
{
    FILE *file = fopen(arguments[0], "r");
    if (file == NULL) {
        perror(arguments[0]);
        return 1;
    }
    int n = 0;
    double *times = NULL, t;
    while (fscanf(file, "%lf", &t) == 1) {
        times = allocate(times, (size_t)(n + 1) * sizeof *times);
        times[n++] = t;
    }
    fclose(file);

    double p[PARAMETERS];
    for (int i = 0; i < PARAMETERS; i++) {
        char *end;
        p[i] = strtod(arguments[1 + i], &end);
        if (end == arguments[1 + i] || *end != '\0') {
            fprintf(stderr, "%s is not a number: %s\n", parameter_names[i], arguments[1 + i]);
            return 1;
        }
    }

    double *values[OBSERVABLES];
    for (int k = 0; k < OBSERVABLES; k++)
        values[k] = allocate(NULL, (size_t)n * sizeof *values[k]);
    const char *problem = simulate(p, times, n, values);
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    putchar('t');
    for (int k = 0; k < OBSERVABLES; k++)
        printf(",%s", observable_names[k]);
    putchar('\n');
    for (int i = 0; i < n; i++) {
        printf("%.17g", times[i]);
        for (int k = 0; k < OBSERVABLES; k++)
            printf(",%.17g", values[k][i]);
        putchar('\n');
    }
    return 0;
}

int main(int count, char *arguments[])
{
    if (count == 1)
        return stay();
    if (count == 3 + PARAMETERS && strcmp(arguments[1], "--once") == 0)
        return once(arguments + 2);
    fputs("usage: repressilator [--once TIMES s1 s2 s3 d1 d2 d3 h1 h2 h3]\n", stderr);
    return 2;
}
