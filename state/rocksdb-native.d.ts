/** The part of rocksdb 5.2.1 that state/rocksdb.ts uses; the library ships no types. */
declare module 'rocksdb' {
  function rocksdb(path: string): rocksdb.Native
  namespace rocksdb {
    type Callback<T> = (error: Error | null | undefined, value: T) => void

    interface NativeIterator {
      next(callback: (error: Error | null | undefined, key?: Buffer, value?: Buffer) => void): void
      end(callback: Callback<void>): void
    }

    interface ChainedBatch {
      put(key: Buffer, value: Buffer): void
      del(key: Buffer): void
      write(options: object, callback: Callback<void>): void
    }

    interface Native {
      open(options: object, callback: Callback<void>): void
      close(callback: Callback<void>): void
      getMany(keys: readonly Buffer[], options: object, callback: Callback<(Buffer | undefined)[]>): void
      batch(): ChainedBatch
      clear(options: object, callback: Callback<void>): void
      iterator(options: object): NativeIterator
    }
  }
  export = rocksdb
}
