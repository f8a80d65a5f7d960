/* Logistic growth as a program that stays: a JSON line in, a JSON line out (protocol: lines).
   Replace the part that is marked; the rest can stay as it is.  cc -O2 -o lines lines.c -lm */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- your model: its parameters, its observables and how they follow ---- */
enum { R, K, X0, PARAMETERS };
static const char *const parameter_names[PARAMETERS] = {"r", "K", "x0"};
enum { X, OBSERVABLES };
static const char *const observable_names[OBSERVABLES] = {"x"};

/* values[X][i] is observable X at times[i]. Returns NULL, or why this one draw fails. */
static const char *simulate(const double p[], const double times[], int n, double *values[])
{
    if (p[X0] <= 0.0)
        return "x0 must be positive";
    for (int i = 0; i < n; i++)
        values[X][i] = p[K] / (1.0 + (p[K] / p[X0] - 1.0) * exp(-p[R] * times[i]));
    return NULL;
}
/* ---- end of your model ---- */

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

int main(void)
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
