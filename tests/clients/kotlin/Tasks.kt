// The part of Play services' tasks that the guide uses: a completed task.
package com.google.android.gms.tasks

open class Task<T>(val outcome: Result<T>)
