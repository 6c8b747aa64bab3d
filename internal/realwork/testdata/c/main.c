// SPDX-License-Identifier: Apache-2.0

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

int part(int n);

static void *work(void *n)
{
	int *result = malloc(sizeof *result);
	*result = part(*(int *)n);
	return result;
}

int main(void)
{
	pthread_t thread[4];
	int in[4], sum = 0;
	for (int i = 0; i < 4; i++) {
		in[i] = i;
		if (pthread_create(&thread[i], 0, work, &in[i]))
			return 1;
	}
	for (int i = 0; i < 4; i++) {
		void *out;
		pthread_join(thread[i], &out);
		sum += *(int *)out;
		free(out);
	}
	printf("sum %d\n", sum);
	return 0;
}
