/* Prints the most likely class of a picture:
 *
 *     predict MODEL PICTURE
 *
 * PICTURE is a binary PGM or PPM of the model's size, or the raw numbers of an input ([channels, height, width], normalised, float).
 * docs/runtime.md says how to compile it.
 */
#include "dnw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  return 0;
}

/* Reads the picture as an input of this shape; 1 on success. */
static int read_picture(FILE *file, const char *name, const dnw_model *model, const size_t shape[3], float *input) {
  size_t pixels = shape[1] * shape[2], length = shape[0] * pixels;
  unsigned kind, width, height, largest;
  if (fscanf(file, "P%u %u %u %u", &kind, &width, &height, &largest) != 4) {
    rewind(file);
    if (fread(input, sizeof(float), length, file) != length || fgetc(file) != EOF)
      return fail(name, "neither a PGM or PPM without comments nor the raw numbers of an input");
    return 1;
  }
  fgetc(file); /* one white space ends the header */
  if (kind != (shape[0] == 1 ? 5 : 6) || largest != 255)
    return fail(name, shape[0] == 1 ? "the model wants a binary PGM of 8 bits" : "the model wants a binary PPM of 8 bits");
  if (width != shape[2] || height != shape[1])
    return fail(name, "the picture has another size than the model's input");
  /* The picture has a pixel's channels together, the input has a channel's pixels together. */
  for (size_t pixel = 0; pixel < pixels; pixel++) {
    for (size_t channel = 0; channel < shape[0]; channel++) {
      float mean, deviation;
      int byte = fgetc(file);
      if (byte == EOF)
        return fail(name, "the picture ends too early");
      if (dnw_model_channel(model, channel, &mean, &deviation) != DNW_STATUS_OK)
        return fail(name, dnw_last_error());
      input[channel * pixels + pixel] = ((float)byte / 255.0f - mean) / deviation;
    }
  }
  return 1;
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: predict MODEL PICTURE\n");
    return 2;
  }
  int ok = 0;
  dnw_model *model = NULL;
  dnw_session *session = NULL;
  float *input = NULL, *output = NULL;
  size_t shape[3], outputs, top = 0;
  FILE *file = fopen(arguments[2], "rb");
  if (!file) {
    fail(arguments[2], strerror(errno));
    goto end;
  }
  if (dnw_model_load(arguments[1], &model) != DNW_STATUS_OK || dnw_model_shape(model, shape) != DNW_STATUS_OK ||
      dnw_session_new(model, 1, &session) != DNW_STATUS_OK) {
    fail(arguments[1], dnw_last_error());
    goto end;
  }
  outputs = dnw_model_outputs(model);
  input = calloc(shape[0] * shape[1] * shape[2], sizeof(float));
  output = calloc(outputs, sizeof(float));
  if (!input || !output) {
    fail(arguments[1], "out of memory");
    goto end;
  }
  if (!read_picture(file, arguments[2], model, shape, input))
    goto end;
  if (dnw_session_run(session, input, shape[0] * shape[1] * shape[2], output, outputs) != DNW_STATUS_OK) {
    fail(arguments[2], dnw_last_error());
    goto end;
  }
  for (size_t i = 1; i < outputs; i++)
    if (output[i] > output[top])
      top = i;
  const char *name = dnw_model_class(model, top);
  if (name)
    printf("%s (%g)\n", name, output[top]);
  else
    printf("class %zu (%g)\n", top, output[top]);
  ok = 1;
end:
  free(output);
  free(input);
  dnw_session_free(session);
  dnw_model_free(model);
  if (file)
    fclose(file);
  return ok ? 0 : 1;
}
